### 1. AWS Login
curl -X POST "$API_URL/v1/auth/aws-login" \
  -H "Content-Type: application/json" \
  -d '{
    "aws_access_key_id": "ASIA...",
    "aws_secret_access_key": "...",
    "aws_session_token": "..."
  }'

### 2. Health Check
curl "$API_URL/health"

### 3. API Info
curl "$API_URL/"

### 4. Submit Job
curl -X POST "$API_URL/v1/jobs/submit" \
  -H "Authorization: Bearer $API_KEY" \
  -H "Content-Type: application/json" \
  -d '{
    "image": "pytorch/pytorch:2.1.0-cuda12.1-cudnn8-runtime",
    "instance_type": "p5.48xlarge",
    "duration_hours": 4
  }'

### 5. Get Job Status
curl "$API_URL/v1/jobs/abc-123-def-456" \
  -H "Authorization: Bearer $API_KEY"

### 6. List Jobs
# List all jobs
curl "$API_URL/v1/jobs" \
  -H "Authorization: Bearer $API_KEY"

# Filter by status
curl "$API_URL/v1/jobs?status=active,preparing" \
  -H "Authorization: Bearer $API_KEY"

# Pagination
curl "$API_URL/v1/jobs?limit=10&offset=20" \
  -H "Authorization: Bearer $API_KEY"

### 7. Cancel Job
curl -X POST "$API_URL/v1/jobs/abc-123-def-456/cancel" \
  -H "Authorization: Bearer $API_KEY"

### 8. Extend Job
curl -X POST "$API_URL/v1/jobs/abc-123-def-456/extend" \
  -H "Authorization: Bearer $API_KEY" \
  -H "Content-Type: application/json" \
  -d '{"extension_hours": 2}'

### 9. Enable Jupyter
curl -X POST "$API_URL/v1/jobs/abc-123-def-456/jupyter/enable" \
  -H "Authorization: Bearer $API_KEY"

### 10. Disable Jupyter
curl -X POST "$API_URL/v1/jobs/abc-123-def-456/jupyter/disable" \
  -H "Authorization: Bearer $API_KEY"

### 11. Add User to Job
curl -X POST "$API_URL/v1/jobs/abc-123-def-456/users" \
  -H "Authorization: Bearer $API_KEY" \
  -H "Content-Type: application/json" \
  -d '{"github_username": "jeanschmidt"}'

### 12. GPU Availability
curl "$API_URL/v1/gpu/availability" \
  -H "Authorization: Bearer $API_KEY"

### 13. Cluster Status
curl "$API_URL/v1/cluster/status" \
  -H "Authorization: Bearer $API_KEY"

### 14. Create Disk
curl -X POST "$API_URL/v1/disks" \
  -H "Authorization: Bearer $API_KEY" \
  -H "Content-Type: application/json" \
  -d '{
    "disk_name": "my-training-data",
    "size_gb": 500
  }'

### 15. List Disks
curl "$API_URL/v1/disks" \
  -H "Authorization: Bearer $API_KEY"

### 16. Get Disk Info
curl "$API_URL/v1/disks/my-training-data" \
  -H "Authorization: Bearer $API_KEY"

### 17. Delete Disk
curl -X DELETE "$API_URL/v1/disks/my-training-data" \
  -H "Authorization: Bearer $API_KEY"

### 18. Get Disk Operation Status
curl "$API_URL/v1/disks/my-training-data/operations/op-123-abc" \
  -H "Authorization: Bearer $API_KEY"

### 19. Rename Disk
curl -X POST "$API_URL/v1/disks/my-training-data/rename" \
  -H "Authorization: Bearer $API_KEY" \
  -H "Content-Type: application/json" \
  -d '{
    "new_name": "my-training-data-v2"
  }'

### 20. Rotate API Key
curl -X POST "$API_URL/v1/keys/rotate" \
  -H "Authorization: Bearer $API_KEY"
