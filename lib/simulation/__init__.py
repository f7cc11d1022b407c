"""Made-up and spoilt scans."""
