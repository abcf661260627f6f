"""Champion against challenger: may a new version take over? Numpy alone; the report is for people."""
