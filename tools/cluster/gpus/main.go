// A device plugin that offers pretend GPUs to a kubelet
// (https://kubernetes.io/docs/concepts/extend-kubernetes/compute-storage-net/device-plugins/).
// `gpus COUNT FILE`: FILE lists the ids of unhealthy GPUs, one a line, and is read again after each SIGHUP. Each GPU of a
// container is a device /dev/nvidia<n>, and NVIDIA_VISIBLE_DEVICES names all of them, as NVIDIA's plugin does it.
package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/fsnotify/fsnotify"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	api "k8s.io/kubelet/pkg/apis/deviceplugin/v1beta1"
)

const (
	resource = "nvidia.com/gpu"
	socket   = "berth-gpus.sock"
)

type plugin struct {
	api.UnimplementedDevicePluginServer
	count     int
	unhealthy string
	changes   chan struct{}
}

func main() {
	count, err := strconv.Atoi(os.Args[1])
	check(err)
	gpus := &plugin{count: count, unhealthy: os.Args[2], changes: make(chan struct{}, 1)}
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	go func() {
		for range hangups {
			gpus.changes <- struct{}{}
		}
	}()
	check(os.MkdirAll(api.DevicePluginPath, 0o755))
	watcher, err := fsnotify.NewWatcher()
	check(err)
	check(watcher.Add(api.DevicePluginPath))
	server := gpus.serve()
	for {
		// A kubelet that starts removes all sockets of the folder, and then creates its own.
		if err := register(); err != nil {
			fmt.Fprintln(os.Stderr, "not registered:", err)
		}
		for event := range watcher.Events {
			if event.Name == api.KubeletSocket && event.Has(fsnotify.Create) {
				break
			}
		}
		server.Stop()
		server = gpus.serve()
	}
}

func (p *plugin) serve() *grpc.Server {
	path := filepath.Join(api.DevicePluginPath, socket)
	os.Remove(path)
	listener, err := net.Listen("unix", path)
	check(err)
	server := grpc.NewServer()
	api.RegisterDevicePluginServer(server, p)
	go server.Serve(listener)
	return server
}

func register() error {
	connection, err := grpc.NewClient("unix://"+api.KubeletSocket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer connection.Close()
	// The kubelet's socket appears a moment before it accepts connections.
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	request := &api.RegisterRequest{Version: api.Version, Endpoint: socket, ResourceName: resource}
	_, err = api.NewRegistrationClient(connection).Register(ctx, request, grpc.WaitForReady(true))
	return err
}

func (p *plugin) GetDevicePluginOptions(context.Context, *api.Empty) (*api.DevicePluginOptions, error) {
	return &api.DevicePluginOptions{}, nil
}

func (p *plugin) ListAndWatch(_ *api.Empty, stream grpc.ServerStreamingServer[api.ListAndWatchResponse]) error {
	for {
		if err := stream.Send(&api.ListAndWatchResponse{Devices: p.devices()}); err != nil {
			return err
		}
		select {
		case <-p.changes:
		case <-stream.Context().Done():
			return nil
		}
	}
}

func (p *plugin) devices() []*api.Device {
	text, _ := os.ReadFile(p.unhealthy)
	unhealthy := strings.Fields(string(text))
	devices := make([]*api.Device, p.count)
	for number := range devices {
		devices[number] = &api.Device{ID: fmt.Sprintf("GPU-%d", number), Health: api.Healthy}
		for _, id := range unhealthy {
			if id == devices[number].ID {
				devices[number].Health = api.Unhealthy
			}
		}
	}
	return devices
}

func (p *plugin) Allocate(_ context.Context, request *api.AllocateRequest) (*api.AllocateResponse, error) {
	response := &api.AllocateResponse{}
	for _, container := range request.ContainerRequests {
		given := &api.ContainerAllocateResponse{Envs: map[string]string{
			"NVIDIA_VISIBLE_DEVICES": strings.Join(container.DevicesIds, ","),
		}}
		for _, id := range container.DevicesIds {
			given.Devices = append(given.Devices, &api.DeviceSpec{
				ContainerPath: "/dev/nvidia" + strings.TrimPrefix(id, "GPU-"),
				// No GPU is here, so each is a null device.
				HostPath:    "/dev/null",
				Permissions: "rw",
			})
		}
		response.ContainerResponses = append(response.ContainerResponses, given)
	}
	return response, nil
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
