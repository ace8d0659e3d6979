# An image of noren, for its page server on Kubernetes. None is published: build
# and push it yourself.
#
#   docker build --build-arg VERSION=v1.2.3 -t registry.example.com/noren:1.2.3 .
FROM golang:1.26 AS build
WORKDIR /src
COPY . .
ARG VERSION=
RUN make build VERSION="$VERSION"

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /src/bin/noren /noren
USER 65532:65532
ENTRYPOINT ["/noren"]
