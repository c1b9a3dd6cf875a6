"""Verifies Xenoauth's access tokens by introspection (RFC 7662). Python 3.9 or newer, standard library only."""

import base64
import json
import logging
import re
import time
import urllib.parse
import urllib.request

ROLES = ["guest", "agent", "bot", "admin"]  # each includes those before it
TOKEN = re.compile(r"bearer +([A-Za-z0-9._~+/-]{1,8000}=*)", re.IGNORECASE | re.ASCII)


class Refusal(Exception):
    """A response that refuses the request: send status, headers and body."""

    def __init__(self, status, code, description, challenge=""):
        super().__init__(description)
        self.status = status
        self.headers = {"Content-Type": "application/json", "Cache-Control": "no-store"}
        if status == 503:
            self.headers["Retry-After"] = "2"
        else:
            self.headers["WWW-Authenticate"] = 'Bearer realm="xenoauth"' + challenge
        self.body = json.dumps({"error": code, "error_description": description}).encode()


class Identity(dict):
    """The introspection answer for a valid token: sub, account, client_id, username, exp and so on."""

    def has_scope(self, name):
        scopes = self.get("scope", "").split()
        return name in scopes or (name in ROLES and any(r in scopes for r in ROLES[ROLES.index(name):]))

    def has_permission(self, name):
        return name in (self.get("permissions") or [])


def _claims_expired(token):
    """Whether an inactive token is a user token (a JWT) whose exp has passed. It gets 403, which makes its client use the
    refresh token. The exp is not verified, and nothing else depends on it. The minute allows for clock skew."""
    parts = token.split(".")
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
        return len(parts) == 3 and float(claims["exp"]) <= time.time() + 60
    except (IndexError, KeyError, TypeError, ValueError, OverflowError):
        return False


def _same_resource(a, b):
    """Compares resources (RFC 8707). An origin with and without its slash is the same (RFC 3986, section 6.2.3)."""
    a, b = (re.sub(r"^([^:]+://[^/?#]+)/$", r"\1", uri) for uri in (a, b))
    return a == b


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None  # a redirect would send the token to another server


class Verifier:
    """Verifies tokens. audience is the resource (RFC 8707) that they must be for; without it, tokens that are narrowed to
    resources are refused, because they are meant for other APIs."""

    def __init__(self, client_id, client_secret, issuer, endpoint=None, timeout=2, audience=None):
        self.issuer = issuer
        self.audience = audience
        self.endpoint = endpoint or issuer + "/oauth/introspect"
        self.timeout = timeout  # seconds, of each step of a call
        pair = ":".join(urllib.parse.quote(part, safe="") for part in (client_id, client_secret))
        self._authorization = "Basic " + base64.b64encode(pair.encode()).decode()
        self._opener = urllib.request.build_opener(_NoRedirect)

    def introspect(self, token):
        """The introspection answer for the token. Answers are not cached, so that revocation is instant."""
        form = urllib.parse.urlencode({"token": token, "token_type_hint": "access_token"}).encode()
        headers = {"Authorization": self._authorization, "Accept": "application/json"}
        request = urllib.request.Request(self.endpoint, form, headers)
        with self._opener.open(request, timeout=self.timeout) as response:
            if response.status != 200 or response.headers.get_content_type() != "application/json":
                raise ValueError(f"introspection answers {response.status} with {response.headers.get_content_type()}")
            answer = json.loads(response.read(64 * 1024))
        if not isinstance(answer, dict) or not isinstance(answer.get("active"), bool):
            raise ValueError("introspection does not state whether the token is active")
        if answer["active"] and self.issuer and answer.get("iss") != self.issuer:
            raise ValueError("introspection answers for another issuer")
        return answer

    def require(self, authorization, url, scope=None, permission=None, owner=None, bot=None):
        """Returns the Identity of a request that is allowed; otherwise raises Refusal.

        authorization: every value of the request's Authorization headers. url: the request's target. For a permission
        on oneself ("user:fetch:self"), owner is the id of the user whose record is requested. bot is the id of the bot that
        the token must belong to.
        """
        identity = self._verify(authorization or [], url)
        permitted = permission is None or (
            identity.has_permission(permission.removesuffix(":self"))
            or (permission.endswith(":self") and owner and owner == identity.get("sub") and identity.has_permission(permission))
        )
        scoped = scope is None or identity.has_scope(scope)
        if not scoped or not permitted or (bot is not None and (not bot or bot != identity.get("bot"))):
            # Never name a scope that the token has: its client would request it again and again.
            challenge = ', error="insufficient_scope"' + (f', scope="{scope}"' if not scoped else "")
            raise Refusal(403, "insufficient_scope", "the access token may not do this", challenge)
        return identity

    def _verify(self, authorization, url):
        if not authorization:
            raise Refusal(401, "invalid_token", "send an access token in the Authorization header")
        if "access_token" in urllib.parse.parse_qs(url.partition("?")[2], keep_blank_values=True):
            raise Refusal(400, "invalid_request", "the access token is sent twice", ', error="invalid_request"')
        invalid = Refusal(401, "invalid_token", "the access token is not valid", ', error="invalid_token"')
        match = TOKEN.fullmatch(authorization[0])
        if len(authorization) > 1 or not match:
            raise invalid
        try:
            answer = self.introspect(match.group(1))
        except Exception as error:  # any failure: the token's state is unknown
            logging.error("access tokens cannot be verified: %s", error)
            raise Refusal(503, "temporarily_unavailable", "access tokens cannot be verified right now") from None
        if not answer["active"] and _claims_expired(match.group(1)):
            raise Refusal(403, "invalid_token", "Permission Denied: the user token has expired", ', error="invalid_token"')
        # Xenoauth's access tokens are bearer tokens; a refresh token has no type.
        if not answer["active"] or answer.get("token_type") != "Bearer":
            raise invalid
        audiences = answer.get("aud") or []
        audiences = [audiences] if isinstance(audiences, str) else audiences
        if self.audience and not any(_same_resource(a, self.audience) for a in audiences):
            raise invalid
        if audiences and not self.audience:
            challenge = ', error="insufficient_scope"'
            raise Refusal(403, "insufficient_scope", "the access token is narrowed to resources", challenge)
        return Identity(answer)
