"""Usage: tokens and money that callees report, read from their messages, headers and trailers.

*Usage* is one report in one form; *shapes* are the forms that providers write it in; the *search* finds it in a
document; a *meter* makes one figure of all that an exchange reports. All of it reads what strangers wrote, so all of
it is bounded, and whatever is no usage is passed over.
"""

from sidecar.engine.usage.meter import Meter
from sidecar.engine.usage.usage import NO_USAGE, Usage

__all__ = ["NO_USAGE", "Meter", "Usage"]
