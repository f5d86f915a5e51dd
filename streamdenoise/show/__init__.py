"""Pictures and pages to look and listen."""
