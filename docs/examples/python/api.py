"""A small API protected by Xenoauth. Environment: XENOAUTH_ISSUER, CLIENT_ID, CLIENT_SECRET and PORT."""

import json
import os
import re
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from bearer import Refusal, Verifier

verifier = Verifier(
    client_id=os.environ["CLIENT_ID"],
    client_secret=os.environ["CLIENT_SECRET"],
    issuer=os.environ["XENOAUTH_ISSUER"],
    endpoint=os.environ.get("ENDPOINT"),  # only if the API reaches Xenoauth at another address
    audience=os.environ.get("AUDIENCE"),  # the resource that tokens must be for (RFC 8707); unset for none
)


class API(BaseHTTPRequestHandler):
    def do_GET(self):
        path = self.path.split("?")[0]
        user = re.fullmatch(r"/users/([^/]+)", path)
        try:
            if path == "/contacts":
                self.show(self.require(scope="contacts"))
            elif path == "/conversations":
                self.show(self.require(permission="conversation:list"))
            elif path == "/desk":
                self.show(self.require(scope="agent"))  # a role; higher roles include it
            elif user:
                self.show(self.require(permission="user:fetch:self", owner=user.group(1)))
            else:
                self.send_error(404)
        except Refusal as refusal:
            self.answer(refusal.status, refusal.headers, refusal.body)

    def require(self, **needs):
        return verifier.require(self.headers.get_all("Authorization"), self.path, **needs)

    def show(self, identity):
        """Returns the identity of the request."""
        body = json.dumps({"sub": identity["sub"], "account": identity.get("account")})
        self.answer(200, {"Content-Type": "application/json"}, body.encode())

    def answer(self, status, headers, body):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_request(self, code="-", size="-"):
        # Without the query, which may contain a token that a client put there by mistake.
        self.log_message('"%s" %s', self.requestline.split("?")[0], code)


server = ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", 0))), API)
print(f"listening on http://127.0.0.1:{server.server_port}", flush=True)
server.serve_forever()
