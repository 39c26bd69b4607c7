"""What the log says of the jail: a line for all processes, as a rule."""

from skerry.log import Log
from skerry.messages import Jailed


def tell(log: Log, news: Jailed) -> None:
    """Unless another process is confined just as the sender of (news)."""
    log.once(f"programs run in a jail: {news.layers}")
    if news.no_group:
        log.once(
            "warning: workers have no control group, so their threads are not limited: "
            + news.no_group
        )
