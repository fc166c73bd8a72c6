import signal

# Below nohup SIGHUP is ignored, in children too: tests begin as they would in a terminal.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
