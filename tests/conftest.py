import signal

# A shell ignores SIGINT for what it starts in the background, nohup SIGHUP, and children would,
# too: tests begin as they would in a terminal.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)
