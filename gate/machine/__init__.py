"""The machine beneath: processes, files that last, locks of the kernel, signals, deadlines, accounts."""
