"""Running event scripts: one child (`process`), its output (`capture`), the end of a process group (`group`), one
event (`event`) and the look at a hung script (`debug`)."""
