"""The clouds' own credentials: what a request is authenticated with there.

Law: credentials are the clouds' own - their variables, files, tools and metadata services - and are
never written, logged or kept longer than they must be (P11): what cannot renew itself is looked for
at every attempt, so that whoever signs in again heals the session (C07). Looking is blocking code
of others: it runs in a thread of its own, one at a time, and nobody waits longer than `SIGN_IN_S`.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import importlib.util
import threading
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, Protocol, TypeVar

import attrs

from holdfast.model.clouds import failures
from holdfast.model.credentials import Credentials
from holdfast.model.port import ModelFailed
from holdfast.settings import EndpointSetting, Kind

T = TypeVar("T")

SIGN_IN_S: Final = 20.0
"""How long an attempt waits for credentials. Tools of others may ask a person in a browser."""

GOOGLE_SCOPE: Final = "https://www.googleapis.com/auth/cloud-platform"
AZURE_SCOPE: Final = "https://ai.azure.com/.default"


@attrs.frozen(kw_only=True)
class Grant(Credentials):
    """What one attempt is authenticated with. `api_key` is a cloud's key, `auth_token` its token.

    With `access_key` and `secret_key` a request is signed (Amazon's way), `session_token` goes with
    it. `project` is where Google's credentials are at home.
    """

    access_key: str | None = attrs.field(default=None, repr=False)
    secret_key: str | None = attrs.field(default=None, repr=False)
    session_token: str | None = attrs.field(default=None, repr=False)
    project: str | None = None

    @property
    def secrets(self) -> tuple[str, ...]:
        """Everything that must be blotted out of texts which others wrote."""
        own = (self.access_key, self.secret_key, self.session_token)
        return (*super().secrets, *(secret for secret in own if secret))


class Look(Protocol):
    """Looks for a cloud's credentials; blocks, and raises what the cloud's library raises."""

    def __call__(self) -> Grant:
        """Return what the next attempt is authenticated with."""
        ...

    def forget(self) -> None:
        """Look everywhere anew next time: what was found has been refused."""
        ...


class Login:
    """Grants what the next attempt needs. Belongs to one event loop."""

    def __init__(self, cloud: Kind, look: Look, limit_s: float = SIGN_IN_S) -> None:
        self._cloud = cloud
        self._look = look
        self._limit_s = limit_s
        self._looking: asyncio.Future[Grant] | None = None
        self._unheard = False

    async def grant(self) -> Grant:
        """Return what an attempt is authenticated with. Raises `ModelFailed`."""
        looking = self._looking
        if looking is None or (looking.done() and not self._has_failed_unheard(looking)):
            self._looking = looking = _in_thread(self._look)
        self._unheard = False
        try:
            # Shared by all who ask at the same time, so none of them may cancel it for the others.
            async with asyncio.timeout(self._limit_s):
                return await asyncio.shield(looking)
        except TimeoutError as error:
            self._unheard = True
            raise failures.signed_in_too_late(self._cloud, self._limit_s) from error
        except ModelFailed:
            raise
        except Exception as error:
            self._look.forget()
            raise ModelFailed(failures.from_sign_in(self._cloud, error)) from error

    def forget(self) -> None:
        """Look everywhere anew for the next attempt."""
        self._look.forget()

    def _has_failed_unheard(self, looking: asyncio.Future[Grant]) -> bool:
        """Say whether a look ended in a failure when nobody waited any more: the next attempt is
        told, or a chain that is slow to find nothing would never say so.
        """
        return self._unheard and looking.exception() is not None


def login_of(setting: EndpointSetting, environment: Mapping[str, str]) -> Login:
    """Return the login of an endpoint in a cloud. Nothing is looked for yet."""
    match setting.kind:
        case Kind.BEDROCK:
            return Login(Kind.BEDROCK, Amazon(setting.key_variable, environment))
        case Kind.VERTEX:
            return Login(Kind.VERTEX, Google(setting.key_variable, environment))
        case _:
            return Login(Kind.FOUNDRY, Azure(setting.key_variable, environment))


class Amazon:
    """A Bedrock API key, else the chain of the AWS tools: variables, profiles, roles, metadata."""

    def __init__(self, variable: str | None, environment: Mapping[str, str]) -> None:
        self._variable = variable or "AWS_BEARER_TOKEN_BEDROCK"
        self._environment = environment
        self._renewing: Any = None

    def __call__(self) -> Grant:
        """Return a key, or what signs requests."""
        key = _of(self._environment, self._variable)
        if key is not None:
            return Grant(auth_token=key)
        session = _module(Kind.BEDROCK, "botocore.session")
        credentials = self._renewing
        if credentials is None:
            credentials = session.Session().get_credentials()
        if credentials is None:
            raise importlib.import_module("botocore.exceptions").NoCredentialsError
        kinds = {kind.__name__ for kind in type(credentials).__mro__}
        # What renews itself is kept: a role is not assumed anew for every request.
        self._renewing = credentials if "RefreshableCredentials" in kinds else None
        frozen = credentials.get_frozen_credentials()
        return Grant(
            access_key=frozen.access_key,
            secret_key=frozen.secret_key,
            session_token=frozen.token,
        )

    def forget(self) -> None:
        """Ask the whole chain next time."""
        self._renewing = None


class Google:
    """An access token in a variable, else the Application Default Credentials."""

    def __init__(self, variable: str | None, environment: Mapping[str, str]) -> None:
        self._variable = variable
        self._environment = environment
        self._found: tuple[Any, str | None] | None = None

    def __call__(self) -> Grant:
        """Return an access token, a fresh one if the last has expired."""
        token = _of(self._environment, self._variable)
        if token is not None:
            return Grant(auth_token=token)
        auth = _module(Kind.VERTEX, "google.auth")
        transport = _module(Kind.VERTEX, "google.auth.transport.requests")
        credentials, project = self._found or auth.default(scopes=[GOOGLE_SCOPE])
        if not credentials.valid:
            credentials.refresh(transport.Request())
        self._found = credentials, project
        return Grant(auth_token=str(credentials.token), project=project)

    def forget(self) -> None:
        """Read the credentials anew next time."""
        self._found = None


class Azure:
    """A key of the resource, else a token of the credentials that Azure's tools use."""

    def __init__(self, variable: str | None, environment: Mapping[str, str]) -> None:
        self._variable = variable or "ANTHROPIC_FOUNDRY_API_KEY"
        self._environment = environment
        self._found: Any = None

    def __call__(self) -> Grant:
        """Return a key or a token."""
        key = _of(self._environment, self._variable)
        if key is not None:
            return Grant(api_key=key)
        identity = _module(Kind.FOUNDRY, "azure.identity")
        credential = self._found or identity.DefaultAzureCredential()
        token = credential.get_token(AZURE_SCOPE).token
        self._found = credential
        return Grant(auth_token=str(token))

    def forget(self) -> None:
        """Ask the whole chain next time."""
        self._found = None


def require(cloud: Kind, module: str) -> None:
    """Raise `ModelFailed`, with the command that installs it, when a module is not there."""
    importlib.invalidate_caches()  # It may have been installed since; the server need not restart.
    try:
        found = importlib.util.find_spec(module)
    except ModuleNotFoundError:  # Not even the package that it is in.
        found = None
    if found is None:
        raise failures.client_missing(cloud, module.partition(".")[0])


def _module(cloud: Kind, name: str) -> Any:
    require(cloud, name)
    return importlib.import_module(name)


def _of(environment: Mapping[str, str], variable: str | None) -> str | None:
    return (environment.get(variable, "") if variable else "").strip() or None


def _in_thread(work: Callable[[], T]) -> asyncio.Future[T]:
    """Run blocking code in a thread that the end of the process does not wait for."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(give: Callable[[], None]) -> None:
        if not future.done():
            give()

    def refuse(error: Exception) -> None:
        future.set_exception(error)
        future.exception()  # Somebody may have stopped waiting; that is no fault.

    def run() -> None:
        give: Callable[[], None]
        try:
            give = partial(future.set_result, work())
        except Exception as error:  # noqa: BLE001 -- handed to whoever waits
            give = partial(refuse, error)
        with contextlib.suppress(RuntimeError):  # The loop is closed: nobody waits any more.
            loop.call_soon_threadsafe(settle, give)

    threading.Thread(target=run, name="cloud-sign-in", daemon=True).start()
    return future
