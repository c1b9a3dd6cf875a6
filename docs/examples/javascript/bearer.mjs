// Verifies Xenoauth's access tokens by introspection (RFC 7662). Node 20 or newer, no dependencies.

const roles = ["guest", "agent", "bot", "admin"]; // each includes those before it

export const scope = (name) => ({
  scope: name,
  met: ({ scopes }) => scopes.has(name) || (roles.includes(name) && roles.slice(roles.indexOf(name)).some((r) => scopes.has(r))),
});
export const permission = (name) => {
  if (name.endsWith(":self")) throw new TypeError(`${name} applies to one user: use self(owner, name)`);
  return { met: ({ permissions }) => permissions.has(name) };
};
// The permission on all users, or the one on oneself ("user:fetch:self") if the token's user is the owner.
export const self = (owner, name) => ({
  met: (identity, request) =>
    identity.permissions.has(name.replace(/:self$/, "")) ||
    (identity.permissions.has(name) && identity.sub !== "" && identity.sub === owner(request)),
});

// A token of this bot. An integration token obtained with the account's key alone belongs to no bot.
export const bot = (id) => ({ met: (identity) => Boolean(id) && identity.bot === id });

// sameResource compares resources (RFC 8707). An origin with and without its slash is the same (RFC 3986, section 6.2.3).
const trimOrigin = (uri) => uri.replace(/^([^:]+:\/\/[^/?#]+)\/$/, "$1");
const sameResource = (a, b) => trimOrigin(a) === trimOrigin(b);

class Refusal extends Error {
  constructor(status, code, description, challenge) {
    super(description);
    Object.assign(this, { status, code, challenge });
  }
}

// An inactive user token (a JWT) whose exp has passed gets 403, which makes its client use the refresh token. The exp is not
// verified, and nothing else depends on it. The minute allows for clock skew.
function claimsExpired(token) {
  const parts = token.split(".");
  try {
    const { exp } = JSON.parse(Buffer.from(parts[1] ?? "", "base64url"));
    return parts.length === 3 && typeof exp === "number" && exp <= Date.now() / 1000 + 60;
  } catch {
    return false;
  }
}

// verifier returns protect(requirements, handler): a handler for node:http that calls handler(request, response, identity)
// only for valid tokens that meet every requirement. audience is the resource (RFC 8707) that the token must be for; without
// it, tokens that are narrowed to resources are refused, because they are meant for other APIs.
export function verifier({ issuer, endpoint = `${issuer}/oauth/introspect`, clientId, clientSecret, audience, timeout = 2000 }) {
  const credentials = [clientId, clientSecret].map(encodeURIComponent).join(":");
  const authorization = "Basic " + Buffer.from(credentials).toString("base64");

  async function introspect(token) {
    // A redirect would send the token to another server. Answers are not cached, so that revocation is instant.
    const response = await fetch(endpoint, {
      method: "POST",
      redirect: "error",
      headers: { authorization, accept: "application/json" },
      body: new URLSearchParams({ token, token_type_hint: "access_token" }),
      signal: AbortSignal.timeout(timeout),
    });
    const type = response.headers.get("content-type") ?? "";
    if (response.status !== 200 || !/^application\/json *(;|$)/i.test(type)) {
      throw new Error(`introspection answers ${response.status} with ${type}`);
    }
    const answer = await response.json();
    if (typeof answer?.active !== "boolean") throw new Error("introspection does not state whether the token is active");
    if (answer.active && issuer && answer.iss !== issuer) throw new Error("introspection answers for another issuer");
    return answer;
  }

  async function verify(request) {
    const headers = request.headersDistinct.authorization ?? [];
    if (headers.length === 0) throw new Refusal(401, "invalid_token", "send an access token in the Authorization header", "");
    if (new URLSearchParams(request.url.replace(/^[^?]*/, "")).has("access_token")) {
      throw new Refusal(400, "invalid_request", "the access token is sent twice", ', error="invalid_request"');
    }
    const invalid = new Refusal(401, "invalid_token", "the access token is not valid", ', error="invalid_token"');
    const [, token] = /^Bearer +([\w.~+/-]{1,8000}=*)$/i.exec(headers[0]) ?? [];
    if (headers.length > 1 || !token) throw invalid;
    const answer = await introspect(token).catch((cause) => {
      console.error("access tokens cannot be verified:", cause.message, cause.cause?.code ?? "");
      throw new Refusal(503, "temporarily_unavailable", "access tokens cannot be verified right now");
    });
    // Xenoauth's access tokens are bearer tokens; a refresh token has no type.
    if (!answer.active && claimsExpired(token)) {
      throw new Refusal(403, "invalid_token", "Permission Denied: the user token has expired", ', error="invalid_token"');
    }
    if (!answer.active || answer.token_type !== "Bearer") throw invalid;
    const audiences = [answer.aud ?? []].flat();
    if (audience && !audiences.some((a) => sameResource(a, audience))) throw invalid;
    if (!audience && audiences.length > 0) {
      throw new Refusal(403, "insufficient_scope", "the access token is narrowed to resources", ', error="insufficient_scope"');
    }
    return { sub: "", ...answer, scopes: new Set((answer.scope ?? "").split(" ")), permissions: new Set(answer.permissions) };
  }

  return (requirements, handler) => async (request, response) => {
    let identity;
    try {
      identity = await verify(request);
      if (!requirements.every((r) => r.met(identity, request))) {
        // Never name a scope that the token has: its client would request it again and again.
        const missing = requirements.filter((r) => r.scope && !r.met(identity, request));
        const scopes = [...new Set(missing.map((r) => r.scope))].join(" ");
        const challenge = ', error="insufficient_scope"' + (scopes && `, scope="${scopes}"`);
        throw new Refusal(403, "insufficient_scope", "the access token may not do this", challenge);
      }
    } catch (refusal) {
      return refuse(response, refusal instanceof Refusal ? refusal : new Refusal(503, "temporarily_unavailable", "try again"));
    }
    return handler(request, response, identity);
  };
}

function refuse(response, { status, code, message, challenge }) {
  response.writeHead(status, {
    "content-type": "application/json",
    "cache-control": "no-store",
    ...(status === 503 ? { "retry-after": "2" } : { "www-authenticate": `Bearer realm="xenoauth"${challenge}` }),
  });
  response.end(JSON.stringify({ error: code, error_description: message }));
}
