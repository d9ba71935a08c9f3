package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Limit of an instance on Nitro, less its own disks.
const mostVolumes = 25

func (d *driver) NodeGetInfo(context.Context, *csi.NodeGetInfoRequest) (*csi.NodeGetInfoResponse, error) {
	return &csi.NodeGetInfoResponse{
		NodeId: d.node, MaxVolumesPerNode: mostVolumes, AccessibleTopology: d.topology(),
	}, nil
}

func (d *driver) NodeGetCapabilities(
	context.Context, *csi.NodeGetCapabilitiesRequest,
) (*csi.NodeGetCapabilitiesResponse, error) {
	var capabilities []*csi.NodeServiceCapability
	for _, kind := range []csi.NodeServiceCapability_RPC_Type{
		csi.NodeServiceCapability_RPC_STAGE_UNSTAGE_VOLUME,
		csi.NodeServiceCapability_RPC_SINGLE_NODE_MULTI_WRITER,
	} {
		rpc := &csi.NodeServiceCapability_RPC{Type: kind}
		capabilities = append(capabilities, &csi.NodeServiceCapability{
			Type: &csi.NodeServiceCapability_Rpc{Rpc: rpc},
		})
	}
	return &csi.NodeGetCapabilitiesResponse{Capabilities: capabilities}, nil
}

// NodeStageVolume formats a volume that has no file system yet, and mounts it once for all pods of the node.
func (d *driver) NodeStageVolume(
	_ context.Context, request *csi.NodeStageVolumeRequest,
) (*csi.NodeStageVolumeResponse, error) {
	if err := d.planted("NodeStageVolume"); err != nil {
		return nil, err
	}
	device, target := d.store.volume(request.VolumeId), request.StagingTargetPath
	if isMounted(target) {
		return &csi.NodeStageVolumeResponse{}, nil
	}
	if exec.Command("blkid", "--probe", device).Run() != nil {
		if err := run("mkfs.ext4", "-q", "-F", "-E", "nodiscard", device); err != nil {
			return nil, err
		}
	}
	if err := os.MkdirAll(target, 0o755); err != nil {
		return nil, status.Error(codes.Internal, err.Error())
	}
	// Otherwise the kernel fills the sparse file with empty inode tables.
	return &csi.NodeStageVolumeResponse{}, run("mount", "-t", "ext4", "-o", "loop,noinit_itable", device, target)
}

func (d *driver) NodeUnstageVolume(
	_ context.Context, request *csi.NodeUnstageVolumeRequest,
) (*csi.NodeUnstageVolumeResponse, error) {
	if err := d.planted("NodeUnstageVolume"); err != nil {
		return nil, err
	}
	return &csi.NodeUnstageVolumeResponse{}, unmount(request.StagingTargetPath)
}

func (d *driver) NodePublishVolume(
	_ context.Context, request *csi.NodePublishVolumeRequest,
) (*csi.NodePublishVolumeResponse, error) {
	target := request.TargetPath
	if isMounted(target) {
		return &csi.NodePublishVolumeResponse{}, nil
	}
	if err := os.MkdirAll(target, 0o755); err != nil {
		return nil, status.Error(codes.Internal, err.Error())
	}
	options := "bind"
	if request.Readonly {
		options = "bind,ro"
	}
	return &csi.NodePublishVolumeResponse{}, run("mount", "-o", options, request.StagingTargetPath, target)
}

func (d *driver) NodeUnpublishVolume(
	_ context.Context, request *csi.NodeUnpublishVolumeRequest,
) (*csi.NodeUnpublishVolumeResponse, error) {
	if err := d.planted("NodeUnpublishVolume"); err != nil {
		return nil, err
	}
	if err := unmount(request.TargetPath); err != nil {
		return nil, err
	}
	return &csi.NodeUnpublishVolumeResponse{}, removeFile(request.TargetPath)
}

// unmount removes every mount on a path. A path without a mount is fine, since the kubelet may ask twice.
func unmount(path string) error {
	for isMounted(path) {
		if err := unix.Unmount(path, 0); err != nil {
			return status.Errorf(codes.Internal, "unmount %s: %s", path, err)
		}
	}
	return nil
}

// isMounted reports whether the path is a mount point, by the kernel's list (proc_pid_mounts(5)).
func isMounted(path string) bool {
	mounts, err := os.ReadFile("/proc/self/mounts")
	return err == nil && strings.Contains(string(mounts), fmt.Sprintf(" %s ", path))
}

func run(command string, args ...string) error {
	output, err := exec.Command(command, args...).CombinedOutput()
	if err != nil {
		return status.Errorf(codes.Internal, "%s: %s: %s", command, err, output)
	}
	return nil
}
