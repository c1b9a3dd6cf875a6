FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o /xenoauth ./cmd/xenoauth

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /xenoauth /xenoauth
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["/xenoauth"]
CMD ["serve"]
