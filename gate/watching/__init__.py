"""What is seen of releases that take live traffic: asked, read, written down, and given to ``gate.live`` to judge."""
