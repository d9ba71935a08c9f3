curl http://localhost:8080/health

curl -X POST http://localhost:8080/api/v1/environments \
  -H "Content-Type: application/json" \
  -d '{
    "workspaceId": "test-workspace-001",
    "userId": "user123",
    "name": "Test Workspace",
    "cloudRegion": "centralindia",
    "cpuCores": 2,
    "memoryGB": 4,
    "storageGB": 20,
    "baseImage": "node"
  }'

curl -X POST http://localhost:8080/api/v1/environments/stop \
  -H "Content-Type: application/json" \
  -d '{
    "workspaceId": "test-workspace-001",
    "cloudRegion": "centralindia"
  }'

curl -X POST http://localhost:8080/api/v1/environments/start \
  -H "Content-Type: application/json" \
  -d '{
    "workspaceId": "test-workspace-001",
    "cloudRegion": "centralindia",
    "userId": "user123",
    "name": "Test Workspace",
    "cpuCores": 2,
    "memoryGB": 4,
    "storageGB": 20,
    "baseImage": "node"
  }'
