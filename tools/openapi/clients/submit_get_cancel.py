"""A user's program over the client that openapi-python-client makes of openapi.json. It prints what it saw, as JSON."""

import json
import sys

from berth import AuthenticatedClient
from berth.api.jobs import cancel_job, get_job, list_jobs, submit_job
from berth.models import Job, JobStatus, JobSummary, SubmitJob, SubmitJobInstanceType

url, key = sys.argv[1:]
with AuthenticatedClient(base_url=url, token=key) as berth:
    body = SubmitJob(image="ubuntu:24.04", instance_type=SubmitJobInstanceType.C7I_8XLARGE)
    submitted = submit_job.sync(client=berth, body=body)
    job = get_job.sync(submitted.job_id, client=berth)
    assert isinstance(job, Job), job
    assert job.created_at.tzinfo is not None
    cancelled = cancel_job.sync(submitted.job_id, client=berth)
    unknown = get_job.sync_detailed("nope", client=berth)
    listed = list_jobs.sync(client=berth, limit=10)
    assert isinstance(listed.jobs[0], JobSummary), listed
    print(
        json.dumps(
            {
                "submitted": submitted.status,
                "sameJob": job.job_id == submitted.job_id == listed.jobs[0].job_id,
                "gpus": job.gpu_count,
                "knownStatus": job.status in (JobStatus.QUEUED, JobStatus.PREPARING, JobStatus.ACTIVE),
                "cancelled": cancelled.action,
                "unknown": [unknown.status_code, unknown.parsed.detail],
            }
        )
    )
