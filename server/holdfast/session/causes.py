"""What a person can act on below the kind of a failure, and the one table of words about it.

Law: the one table. Status, banner, message, log, command line, doctor and docs/failures.md take
what they say of a cause from `CAUSES`; nobody else words it. A row says what was seen and no more;
what is only usual is called usual. A failure whose cause nobody saw has none (P7, P12), and is
told by its kind (`failures.explain`).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

import attrs


class Cause(StrEnum):
    """What was seen to be wrong, named from the outside in: way, proxy, answer, account."""

    # The way to the endpoint.
    OFFLINE = "offline"
    NAME_NOT_FOUND = "nameNotFound"
    NAME_SERVER_SILENT = "nameServerSilent"
    UNREACHABLE = "unreachable"
    REFUSED = "refused"
    RESET = "reset"
    CONNECT_TIMEOUT = "connectTimeout"
    UPLOAD_STUCK = "uploadStuck"
    # The secure connection.
    TLS_INTERCEPTED = "tlsIntercepted"
    TLS_CLOCK = "tlsClock"
    TLS_NAME = "tlsName"
    TLS_REFUSED = "tlsRefused"
    # The proxy of the settings, and what stands in the way unasked.
    PROXY_UNREACHABLE = "proxyUnreachable"
    PROXY_LOGIN = "proxyLogin"
    PROXY_REFUSED = "proxyRefused"
    SIGN_IN_PAGE = "signInPage"
    REDIRECTED = "redirected"
    GATEWAY_PAGE = "gatewayPage"
    WRONG_ADDRESS = "wrongAddress"
    TOO_LARGE_FOR_PROXY = "tooLargeForProxy"
    # The answer and its stream.
    NO_FIRST_BYTE = "noFirstByte"
    GATEWAY_TIMEOUT = "gatewayTimeout"
    GATEWAY_UPSTREAM = "gatewayUpstream"
    GATEWAY_COOLDOWN = "gatewayCooldown"
    SILENT_STREAM = "silentStream"
    NO_PROGRESS = "noProgress"
    CUT_STREAM = "cutStream"
    DURATION_CAP = "durationCap"
    # The account.
    KEY_MISSING = "keyMissing"
    KEY_REFUSED = "keyRefused"
    KEY_EXPIRED = "keyExpired"
    KEY_FORBIDDEN = "keyForbidden"
    GATEWAY_KEY_REFUSED = "gatewayKeyRefused"
    BILLING = "billing"
    SPEND_LIMIT = "spendLimit"
    RATE_LIMITED = "rateLimited"
    MODEL_GONE = "modelGone"
    CLOUD_CLIENT_MISSING = "cloudClientMissing"
    CLOUD_SIGN_IN_MISSING = "cloudSignInMissing"
    CLOUD_SIGN_IN_REFUSED = "cloudSignInRefused"
    CLOUD_SIGN_IN_EXPIRED = "cloudSignInExpired"
    CLOUD_NO_ACCESS = "cloudNoAccess"
    # The service.
    OVERLOADED = "overloaded"
    SERVER_ERROR = "serverError"
    # Read in a record of a newer version.
    UNKNOWN = "unknown"

    @classmethod
    def _missing_(cls, value: object) -> Cause:
        """Read a cause that only a newer version knows; the failure's kind is told instead."""
        del value
        return cls.UNKNOWN


class Offer(StrEnum):
    """What a person is offered. Titles and commands are the banners'."""

    RESUME = "resume"
    SET_KEY = "setKey"
    OTHER_MODEL = "otherModel"
    EDIT = "edit"
    DIAGNOSE = "diagnose"


@attrs.frozen
class Explanation:
    """What is told of a failure.

    `says` is what was seen, `advice` what a person can do, each in whole sentences. `tried` is what
    Holdfast does about it by itself: a cause leaves it to the kind. `actions`: what is offered, the
    likeliest remedy first; a cause without its own leaves them to the kind too.
    """

    says: str
    advice: str
    tried: str = ""
    actions: tuple[Offer, ...] = ()


_KEY: Final = (Offer.SET_KEY, Offer.RESUME, Offer.OTHER_MODEL, Offer.DIAGNOSE)
_BILL: Final = (Offer.RESUME, Offer.SET_KEY, Offer.OTHER_MODEL, Offer.DIAGNOSE)
_MODEL: Final = (Offer.OTHER_MODEL, Offer.RESUME, Offer.DIAGNOSE)
_CLOUD: Final = (Offer.RESUME, Offer.OTHER_MODEL, Offer.DIAGNOSE)

CAUSES: Final[Mapping[Cause, Explanation]] = {
    Cause.OFFLINE: Explanation(
        "This machine has no network.",
        "Connect it to a network.",
    ),
    Cause.NAME_NOT_FOUND: Explanation(
        "The name of the API's host does not exist for this machine's name server (DNS).",
        "Check the spelling of the base URL (setting holdfast.baseUrl). If it is right, the "
        "network or VPN in use has a name server that does not know it.",
    ),
    Cause.NAME_SERVER_SILENT: Explanation(
        "The name of the API's host could not be looked up: the name server gave no answer (DNS).",
        "Check the network connection; a VPN that has just gone up or down is the usual reason.",
    ),
    Cause.UNREACHABLE: Explanation(
        "There is no route to the API's address: the network is unreachable.",
        "Check the network connection and the VPN.",
    ),
    Cause.REFUSED: Explanation(
        "The connection was refused: nothing listens at the address, or a firewall says no.",
        "Check the base URL and its port (setting holdfast.baseUrl); a local server or gateway may "
        "have to be started.",
    ),
    Cause.RESET: Explanation(
        "The connection was closed before an answer came.",
        "If it goes on, try another network, or with and without the VPN: a firewall may close "
        "such connections.",
    ),
    Cause.CONNECT_TIMEOUT: Explanation(
        "The connection could not be opened in time: nothing came back from the address.",
        "Try another network, or with and without the VPN: packets to this address get lost on "
        "the way.",
    ),
    Cause.UPLOAD_STUCK: Explanation(
        "The request could not be sent in time.",
        "Try another network, or without the VPN: one that loses large packets (a wrong MTU) "
        "stops uploads in this way.",
    ),
    Cause.TLS_INTERCEPTED: Explanation(
        "The certificate was refused: no authority that this machine trusts has signed it.",
        "Usually a proxy or anti-virus reads the connection. If it may, name the file with its "
        "authority in SSL_CERT_FILE and restart the server; otherwise use another network.",
    ),
    Cause.TLS_CLOCK: Explanation(
        "The certificate was refused: by this machine's clock it is not valid now.",
        "Check this machine's date and time; if they are right, the certificate has to be renewed "
        "at the other end.",
    ),
    Cause.TLS_NAME: Explanation(
        "The certificate was refused: it belongs to another name.",
        "Check the base URL (setting holdfast.baseUrl); a network that wants a sign-in can cause "
        "this too.",
    ),
    Cause.TLS_REFUSED: Explanation(
        "The secure connection could not be set up (TLS).",
        "Check the base URL, its port and https or http; if they are right, something on the way "
        "does not let secure connections through.",
    ),
    Cause.PROXY_UNREACHABLE: Explanation(
        "The proxy could not be reached.",
        "Check HTTPS_PROXY, HTTP_PROXY and NO_PROXY; the proxy may only be there on another "
        "network or with the VPN.",
    ),
    Cause.PROXY_LOGIN: Explanation(
        "The proxy wants a user name and a password.",
        "Give them in HTTPS_PROXY (http://user:password@host:port) and restart the server.",
    ),
    Cause.PROXY_REFUSED: Explanation(
        "The proxy did not open the connection to the API.",
        "Ask who runs the proxy to allow the API's host, or name the host in NO_PROXY.",
    ),
    Cause.SIGN_IN_PAGE: Explanation(
        "A web page answered in place of the API.",
        "Usually it is the sign-in page of a network: open any page in a browser and sign in. "
        "Otherwise check the base URL (setting holdfast.baseUrl).",
    ),
    Cause.REDIRECTED: Explanation(
        "The address redirects to another one, which the API never does.",
        "Sign in to the network in a browser if it wants that, or check the base URL (setting "
        "holdfast.baseUrl).",
    ),
    Cause.GATEWAY_PAGE: Explanation(
        "Something in front of the API answered in its place.",
        "The details show the answer: it often says whose it is. If it stays, ask who runs "
        "the proxy or gateway, or try another network.",
    ),
    Cause.WRONG_ADDRESS: Explanation(
        "What answers at this address does not know the path of the API.",
        "Check the base URL (setting holdfast.baseUrl): it ends before /v1.",
    ),
    Cause.TOO_LARGE_FOR_PROXY: Explanation(
        "A proxy or gateway in front of the API refused the request for its size.",
        "Ask who runs it to allow bodies of 32 MB, as the API does.",
    ),
    Cause.NO_FIRST_BYTE: Explanation(
        "The request was sent, and no answer began in time.",
        "If it goes on, choose another model or diagnose the connection.",
    ),
    Cause.GATEWAY_TIMEOUT: Explanation(
        "A gateway in front of the API reported that it had waited too long for the answer.",
        "If it goes on, ask who runs the gateway for a longer time limit.",
    ),
    Cause.GATEWAY_UPSTREAM: Explanation(
        "The gateway answers, and could not reach the API behind it.",
        "If it goes on, ask who runs the gateway; the way from here to it is well.",
    ),
    Cause.GATEWAY_COOLDOWN: Explanation(
        "The gateway has put the model aside for a while after failures behind it.",
        "The details say for how long; why is in the gateway's log. If it goes on, ask who runs "
        "the gateway, or choose another model.",
    ),
    Cause.SILENT_STREAM: Explanation(
        "The answer had begun, and then nothing more arrived.",
        "If it goes on, try another network, or with and without the VPN.",
    ),
    Cause.NO_PROGRESS: Explanation(
        "The connection was kept open, and no more of the answer arrived.",
        "If it goes on, choose another model.",
    ),
    Cause.CUT_STREAM: Explanation(
        "The connection ended in the middle of the answer.",
        "If it goes on, try another network, or with and without the VPN or proxy.",
    ),
    Cause.DURATION_CAP: Explanation(
        "Something on the way ended the answer at the same age as one before it.",
        "Answers are asked for in shorter pieces now. Ask who runs the proxy or gateway for a "
        "longer time limit.",
    ),
    Cause.KEY_MISSING: Explanation(
        "There is no API key.",
        "Give one, in your editor or as ANTHROPIC_API_KEY; then resume the turn.",
        actions=_KEY,
    ),
    Cause.KEY_REFUSED: Explanation(
        "The API key was refused.",
        "Give a valid API key, in your editor or as ANTHROPIC_API_KEY; then resume the turn.",
        actions=_KEY,
    ),
    Cause.KEY_EXPIRED: Explanation(
        "The API key or token has expired.",
        "Give a new one, in your editor or as ANTHROPIC_API_KEY; then resume the turn.",
        actions=_KEY,
    ),
    Cause.KEY_FORBIDDEN: Explanation(
        "The key may not use this resource.",
        "Use another key or model, then resume the turn.",
        actions=(Offer.SET_KEY, Offer.OTHER_MODEL, Offer.RESUME, Offer.DIAGNOSE),
    ),
    Cause.GATEWAY_KEY_REFUSED: Explanation(
        "The API behind the gateway refused the key that the gateway sent.",
        "Ask who runs the gateway: it usually has a key of its own. If it passes yours on, give a "
        "valid one; then resume the turn.",
        actions=(Offer.RESUME, Offer.OTHER_MODEL, Offer.SET_KEY, Offer.DIAGNOSE),
    ),
    Cause.BILLING: Explanation(
        "The account cannot be billed.",
        "Check Plans & Billing, then resume the turn.",
        actions=_BILL,
    ),
    Cause.SPEND_LIMIT: Explanation(
        "A spend limit is reached.",
        "Raise the limit in the Console, then resume the turn.",
        actions=_BILL,
    ),
    Cause.RATE_LIMITED: Explanation(
        "The rate limit is reached.",
        "Wait, or choose another model; the turn goes on by itself when the limit allows it.",
    ),
    Cause.MODEL_GONE: Explanation(
        "The model is not available.",
        "Choose another model (setting holdfast.model), then resume the turn.",
        actions=_MODEL,
    ),
    Cause.CLOUD_CLIENT_MISSING: Explanation(
        "What signs in to this cloud is not installed beside the server.",
        "Install it with the command in the details, then resume the turn; the server need not be "
        "restarted.",
        actions=_CLOUD,
    ),
    Cause.CLOUD_SIGN_IN_MISSING: Explanation(
        "This machine has no usable credentials for the cloud.",
        "Sign in with the cloud's own tool (aws sso login, gcloud auth application-default login, "
        "az login) or set its variables, then resume the turn.",
        actions=_CLOUD,
    ),
    Cause.CLOUD_SIGN_IN_REFUSED: Explanation(
        "The cloud refused this machine's credentials.",
        "Sign in with the cloud's own tool again and check this machine's clock, then resume the "
        "turn.",
        actions=_CLOUD,
    ),
    Cause.CLOUD_SIGN_IN_EXPIRED: Explanation(
        "The credentials for the cloud have expired.",
        "Sign in again (aws sso login, gcloud auth application-default login, az login), then "
        "resume the turn.",
        actions=_CLOUD,
    ),
    Cause.CLOUD_NO_ACCESS: Explanation(
        "The account in the cloud may not use this model.",
        "Ask for access to the model in the cloud's console, or choose another model or region, "
        "then resume the turn.",
        actions=_CLOUD,
    ),
    Cause.OVERLOADED: Explanation(
        "The API is overloaded.",
        "Wait, or choose another model; the turn goes on by itself.",
    ),
    Cause.SERVER_ERROR: Explanation(
        "The API reported an error of its own.",
        "Nothing is lost; the turn goes on by itself when the API answers.",
    ),
    Cause.UNKNOWN: Explanation(
        "The request failed.",
        "A newer version of Holdfast recorded why; the details show what was said.",
    ),
}
