"""What server and command line do alike."""
