FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
COPY bearer/go.mod bearer/
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o /image/xenoauth ./cmd/xenoauth && \
    mkdir -p /image/data /image/tmp /image/etc/ssl/certs && \
    cp /etc/ssl/certs/ca-certificates.crt /image/etc/ssl/certs/ && \
    chown 65532:65532 /image/data && chmod 1777 /image/tmp

FROM scratch
COPY --from=build /image/ /
USER 65532:65532
WORKDIR /data
# The container's own loopback is out of reach, so the server listens on all of its addresses. Publish 8080 and keep 9090,
# health and metrics, inside. Set XENOAUTH_ISSUER to the address that browsers use.
ENV XENOAUTH_LISTEN=0.0.0.0:8080 \
    XENOAUTH_OPS_LISTEN=0.0.0.0:9090 \
    XENOAUTH_ISSUER=http://localhost:8080 \
    XENOAUTH_DATABASE_URL=sqlite:/data/xenoauth.db
VOLUME /data
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s CMD ["/xenoauth", "health"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["/xenoauth"]
CMD ["serve"]
