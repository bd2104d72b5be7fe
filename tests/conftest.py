"""What all tests rely on, however they were started."""

from __future__ import annotations

import signal

# nohup ignores SIGHUP, and a shell's background job SIGINT; what is ignored stays so in every child, sh included, which
# then can't even trap it. Tests send both.
for _number, _handler in ((signal.SIGHUP, signal.SIG_DFL), (signal.SIGINT, signal.default_int_handler)):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, _handler)
