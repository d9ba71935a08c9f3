#!/bin/bash
# Quick start script for GPU Dev API

# 1. Get AWS credentials
eval $(cloud_corp aws get-credentials fbossci --role SSOCloudDevGpuReservation --output cli)

# 2. Get API key
API_URL="https://d174yzuil8470i.cloudfront.net"
RESPONSE=$(curl -s -X POST "$API_URL/v1/auth/aws-login" \
  -H "Content-Type: application/json" \
  -d "{
    \"aws_access_key_id\": \"$AWS_ACCESS_KEY_ID\",
    \"aws_secret_access_key\": \"$AWS_SECRET_ACCESS_KEY\",
    \"aws_session_token\": \"$AWS_SESSION_TOKEN\"
  }")

API_KEY=$(echo "$RESPONSE" | jq -r .api_key)
echo "API Key: ${API_KEY:0:8}..."

# 3. Submit a job
JOB_RESPONSE=$(curl -s -X POST "$API_URL/v1/jobs/submit" \
  -H "Authorization: Bearer $API_KEY" \
  -H "Content-Type: application/json" \
  -d '{
    "image": "pytorch/pytorch:2.1.0-cuda12.1-cudnn8-runtime",
    "instance_type": "p5.48xlarge",
    "duration_hours": 4
  }')

JOB_ID=$(echo "$JOB_RESPONSE" | jq -r .job_id)
echo "Job ID: $JOB_ID"

# 4. Check job status
curl -s "$API_URL/v1/jobs/$JOB_ID" \
  -H "Authorization: Bearer $API_KEY" | jq .
