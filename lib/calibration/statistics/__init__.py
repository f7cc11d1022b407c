"""What calibrations are fitted to: sums over labelled scans."""
