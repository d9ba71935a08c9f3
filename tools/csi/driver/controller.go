package main

import (
	"context"
	"os"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"
)

func (d *driver) ControllerGetCapabilities(
	context.Context, *csi.ControllerGetCapabilitiesRequest,
) (*csi.ControllerGetCapabilitiesResponse, error) {
	var capabilities []*csi.ControllerServiceCapability
	for _, kind := range []csi.ControllerServiceCapability_RPC_Type{
		csi.ControllerServiceCapability_RPC_CREATE_DELETE_VOLUME,
		csi.ControllerServiceCapability_RPC_CREATE_DELETE_SNAPSHOT,
		csi.ControllerServiceCapability_RPC_SINGLE_NODE_MULTI_WRITER,
	} {
		rpc := &csi.ControllerServiceCapability_RPC{Type: kind}
		capabilities = append(capabilities, &csi.ControllerServiceCapability{
			Type: &csi.ControllerServiceCapability_Rpc{Rpc: rpc},
		})
	}
	return &csi.ControllerGetCapabilitiesResponse{Capabilities: capabilities}, nil
}

func (d *driver) CreateVolume(
	_ context.Context, request *csi.CreateVolumeRequest,
) (*csi.CreateVolumeResponse, error) {
	if err := d.planted("CreateVolume"); err != nil {
		return nil, err
	}
	id, bytes := makeId("vol", request.Name), request.GetCapacityRange().GetRequiredBytes()
	if path := d.store.volume(id); !exists(path) {
		make := func() error { return createSparse(path, bytes) }
		if source := request.GetVolumeContentSource().GetSnapshot(); source != nil {
			copied := d.store.snapshot(source.SnapshotId)
			if !exists(copied) {
				return nil, status.Errorf(codes.NotFound, "no snapshot %s", source.SnapshotId)
			}
			make = func() error { return copySparse(copied, path) }
		}
		if err := make(); err != nil {
			return nil, status.Error(codes.Internal, err.Error())
		}
	}
	return &csi.CreateVolumeResponse{Volume: &csi.Volume{
		VolumeId:           id,
		CapacityBytes:      bytes,
		ContentSource:      request.VolumeContentSource,
		AccessibleTopology: []*csi.Topology{d.topology()},
	}}, nil
}

func (d *driver) DeleteVolume(
	_ context.Context, request *csi.DeleteVolumeRequest,
) (*csi.DeleteVolumeResponse, error) {
	return &csi.DeleteVolumeResponse{}, removeFile(d.store.volume(request.VolumeId))
}

func (d *driver) CreateSnapshot(
	_ context.Context, request *csi.CreateSnapshotRequest,
) (*csi.CreateSnapshotResponse, error) {
	if err := d.planted("CreateSnapshot"); err != nil {
		return nil, err
	}
	volume, id := d.store.volume(request.SourceVolumeId), makeId("snap", request.Name)
	path := d.store.snapshot(id)
	if !exists(path) {
		if !exists(volume) {
			return nil, status.Errorf(codes.NotFound, "no volume %s", request.SourceVolumeId)
		}
		if err := copySparse(volume, path); err != nil {
			return nil, status.Error(codes.Internal, err.Error())
		}
	}
	file, err := os.Stat(path)
	if err != nil {
		return nil, status.Error(codes.Internal, err.Error())
	}
	return &csi.CreateSnapshotResponse{Snapshot: &csi.Snapshot{
		SnapshotId:     id,
		SourceVolumeId: request.SourceVolumeId,
		SizeBytes:      file.Size(),
		CreationTime:   timestamppb.New(file.ModTime()),
		ReadyToUse:     true,
	}}, nil
}

func (d *driver) DeleteSnapshot(
	_ context.Context, request *csi.DeleteSnapshotRequest,
) (*csi.DeleteSnapshotResponse, error) {
	return &csi.DeleteSnapshotResponse{}, removeFile(d.store.snapshot(request.SnapshotId))
}

func (d *driver) planted(call string) error {
	if reason := d.store.fault(call); reason != "" {
		return status.Error(codes.Internal, reason)
	}
	return nil
}

func removeFile(path string) error {
	if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
		return status.Error(codes.Internal, err.Error())
	}
	return nil
}
