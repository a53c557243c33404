"""What stays of a deployment: its record and report, sealed and provable, and the pages made of many."""
