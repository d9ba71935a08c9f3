# 1. Create session (pod starts immediately)
UUID=$(curl -s -X POST http://34.46.174.78/session/create \
  -H "X-API-Key: your-secure-api-key-change-in-production" \
  -H "Content-Type: application/json" \
  -d '{"user_id": "test@example.com"}' | grep -o '"uuid":"[^"]*"' | cut -d'"' -f4)

echo "Session: $UUID"
echo "Workspace: https://vs-code-$UUID.preview.hyperbola.in"

# 2. Wait 45 seconds for pod to start
sleep 45

# 3. Check status (should show replicas: 1)
curl http://34.46.174.78/session/$UUID/status \
  -H "X-API-Key: your-secure-api-key-change-in-production"

# 4. Test sleep
curl -X POST http://34.46.174.78/session/$UUID/sleep \
  -H "X-API-Key: your-secure-api-key-change-in-production"

sleep 10

# 5. Check status (should show replicas: 0)
curl http://34.46.174.78/session/$UUID/status \
  -H "X-API-Key: your-secure-api-key-change-in-production"

# 6. Test wake
curl -X POST http://34.46.174.78/session/$UUID/wake \
  -H "X-API-Key: your-secure-api-key-change-in-production"

sleep 30

# 7. Check status (should show replicas: 1)
curl http://34.46.174.78/session/$UUID/status \
  -H "X-API-Key: your-secure-api-key-change-in-production"

# 8. Test scale up
curl -X POST http://34.46.174.78/session/$UUID/scale \
  -H "X-API-Key: your-secure-api-key-change-in-production" \
  -H "Content-Type: application/json" \
  -d '{"scale": "up"}'

# 9. Test scale down
curl -X POST http://34.46.174.78/session/$UUID/scale \
  -H "X-API-Key: your-secure-api-key-change-in-production" \
  -H "Content-Type: application/json" \
  -d '{"scale": "down"}'

# 10. Delete session
curl -X DELETE http://34.46.174.78/session/$UUID \
  -H "X-API-Key: your-secure-api-key-change-in-production"
