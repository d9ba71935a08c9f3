// A CSI driver that plays `ebs.csi.aws.com`. Its volumes are sparse files with ext4, which it mounts through loop devices. A
// snapshot is a copy of the file.
package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/wrapperspb"
	registration "k8s.io/kubelet/pkg/apis/pluginregistration/v1"
)

const (
	driverName = "ebs.csi.aws.com"
	zoneKey    = "topology.kubernetes.io/zone"
)

type driver struct {
	csi.UnimplementedIdentityServer
	csi.UnimplementedControllerServer
	csi.UnimplementedNodeServer
	store store
	node  string
	zone  string
}

func main() {
	var directory, socket, register string
	var server driver
	flag.StringVar(&directory, "dir", "", "folder that all nodes share")
	flag.StringVar(&server.node, "node", "", "name of this node")
	flag.StringVar(&server.zone, "zone", "", "zone of this node")
	flag.StringVar(&socket, "socket", "", "path of its socket")
	flag.StringVar(&register, "register", "", "path of the socket in the kubelet's folder plugins_registry")
	flag.Parse()
	server.store = store(directory)
	check(server.store.prepare())

	plugin := grpc.NewServer()
	csi.RegisterIdentityServer(plugin, &server)
	csi.RegisterControllerServer(plugin, &server)
	csi.RegisterNodeServer(plugin, &server)
	registrar := grpc.NewServer()
	registration.RegisterRegistrationServer(registrar, registrationServer{endpoint: socket})
	listener := listen(socket)
	go func() { check(registrar.Serve(listen(register))) }()
	go func() {
		stop := make(chan os.Signal, 1)
		signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
		<-stop
		plugin.Stop()
	}()
	check(plugin.Serve(listener))
}

func listen(path string) net.Listener {
	check(os.MkdirAll(filepath.Dir(path), 0o755))
	if err := os.Remove(path); !os.IsNotExist(err) {
		check(err)
	}
	listener, err := net.Listen("unix", path)
	check(err)
	return listener
}

// registrationServer does what node-driver-registrar does: the kubelet asks it for the driver's name and socket.
type registrationServer struct {
	registration.UnimplementedRegistrationServer
	endpoint string
}

func (r registrationServer) GetInfo(context.Context, *registration.InfoRequest) (*registration.PluginInfo, error) {
	return &registration.PluginInfo{
		Type: registration.CSIPlugin, Name: driverName, Endpoint: r.endpoint, SupportedVersions: []string{"1.0.0"},
	}, nil
}

func (registrationServer) NotifyRegistrationStatus(
	_ context.Context, status *registration.RegistrationStatus,
) (*registration.RegistrationStatusResponse, error) {
	if !status.PluginRegistered {
		fmt.Fprintln(os.Stderr, "the kubelet refused the driver:", status.Error)
	}
	return &registration.RegistrationStatusResponse{}, nil
}

func (d *driver) GetPluginInfo(context.Context, *csi.GetPluginInfoRequest) (*csi.GetPluginInfoResponse, error) {
	return &csi.GetPluginInfoResponse{Name: driverName, VendorVersion: "1"}, nil
}

func (d *driver) GetPluginCapabilities(
	context.Context, *csi.GetPluginCapabilitiesRequest,
) (*csi.GetPluginCapabilitiesResponse, error) {
	service := func(kind csi.PluginCapability_Service_Type) *csi.PluginCapability {
		return &csi.PluginCapability{
			Type: &csi.PluginCapability_Service_{Service: &csi.PluginCapability_Service{Type: kind}},
		}
	}
	return &csi.GetPluginCapabilitiesResponse{Capabilities: []*csi.PluginCapability{
		service(csi.PluginCapability_Service_CONTROLLER_SERVICE),
		service(csi.PluginCapability_Service_VOLUME_ACCESSIBILITY_CONSTRAINTS),
	}}, nil
}

func (d *driver) Probe(context.Context, *csi.ProbeRequest) (*csi.ProbeResponse, error) {
	return &csi.ProbeResponse{Ready: wrapperspb.Bool(true)}, nil
}

func (d *driver) topology() *csi.Topology {
	return &csi.Topology{Segments: map[string]string{zoneKey: d.zone}}
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
