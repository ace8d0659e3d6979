package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
)

// etcdStartTimeout bounds the start of etcd; it usually takes well under a
// second.
const etcdStartTimeout = time.Minute

// startEtcd starts a one-member etcd on loopback that keeps its data in dir
// and never syncs it to disk. It returns once etcd serves clients.
func startEtcd(dir string) (*embed.Etcd, error) {
	etcd, err := embed.StartEtcd(etcdConfig(dir))
	if err != nil {
		return nil, fmt.Errorf("start etcd: %w", err)
	}
	select {
	case <-etcd.Server.ReadyNotify():
		return etcd, nil
	case err = <-etcd.Err():
	case <-time.After(etcdStartTimeout):
		err = fmt.Errorf("not ready after %s", etcdStartTimeout)
	}
	etcd.Close()
	return nil, fmt.Errorf("start etcd: %w", err)
}

// etcdConfig returns the settings of an etcd for throw-away data.
func etcdConfig(dir string) *embed.Config {
	anyPort := []url.URL{{Scheme: "http", Host: "127.0.0.1:0"}}
	config := embed.NewConfig()
	config.Dir = dir
	config.LogLevel = "error"
	config.LogOutputs = []string{"stderr"}
	config.UnsafeNoFsync = true
	config.EnableGRPCGateway = false
	config.ListenPeerUrls = anyPort
	config.AdvertisePeerUrls = anyPort
	config.ListenClientUrls = anyPort
	config.AdvertiseClientUrls = anyPort
	config.InitialCluster = config.InitialClusterFromName(config.Name)
	return config
}

// etcdURL returns the address at which etcd serves clients.
func etcdURL(etcd *embed.Etcd) string {
	return "http://" + etcd.Clients[0].Addr().String()
}

// etcdFailure waits for a failure of etcd, or returns nil when ctx ends.
func etcdFailure(ctx context.Context, etcd *embed.Etcd) error {
	select {
	case <-ctx.Done():
		return nil
	case err := <-etcd.Err():
		return fmt.Errorf("etcd stopped serving: %w", err)
	case <-etcd.Server.StopNotify():
		return errors.New("etcd stopped by itself")
	}
}
