"""Whether a model hub (huggingface.co, or the one that ``HF_ENDPOINT`` names) can be reached."""

from functools import cache

_SECONDS = 10.0


@cache
def reach_hub() -> bool:
    """Say whether the hub answers; where it does not, its libraries are told, so that they look only at what they have.

    Without this they try again for minutes before they give up.
    """
    from huggingface_hub import constants, get_session

    if constants.HF_HUB_OFFLINE:
        return False
    try:
        get_session().head(constants.ENDPOINT, timeout=_SECONDS)
    except Exception:  # names that do not resolve, refused, too slow, no certificate: all the same here
        constants.HF_HUB_OFFLINE = True
        return False
    return True
