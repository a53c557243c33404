"""The verdict on live traffic: observations in, GO, HOLD or ROLLBACK with reasons out. Pure."""
