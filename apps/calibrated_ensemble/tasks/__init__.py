"""Task files that come with the app."""
