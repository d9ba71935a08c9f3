// Generated from openapi.json by `npm run generate`. Do not edit.
export type paths = Record<string, never>;
export type webhooks = Record<string, never>;
export interface components {
    schemas: {
        AddJobUser: {
            /** @description The GitHub user whose SSH keys may log in. Send it or `public_key`, not both. */
            github_username?: string | null;
            /** @description A public SSH key that may log in: one line of at most 4,096 characters, without options. */
            public_key?: string | null;
        };
        AdminJob: {
            /** @description The job's id. In a path its first 4 or more characters are enough, while only one of your jobs begins with them. */
            job_id: string;
            /** @description Same as `job_id`, for existing clients. */
            reservation_id: string;
            /** @description The owner's user name. */
            user_id: string;
            /** @description The job's current state. */
            status: components["schemas"]["JobStatus"];
            /** @description The type of GPU, for example `h100`. A submit may leave it out; it must match the instance type. */
            gpu_type: string;
            /** @description Number of GPUs: part of a machine, or all GPUs of 1 to 8 machines. Without it, a submit asks for one machine. */
            gpu_count: number;
            /** @description The machine, by its AWS name. */
            instance_type: string;
            /** @description Duration in hours. A shown job's duration includes its extensions. */
            duration_hours: number;
            /**
             * Format: date-time
             * @description When it was created.
             */
            created_at: string;
            /**
             * Format: date-time
             * @description When the job's time is over; null while it is queued or preparing.
             */
            expires_at: string | null;
            /** @description The job's name, for people. */
            name: string;
            /** @description The pod's name, for people. */
            pod_name: string;
            /** @description The address of SSH; null unless the job is active. */
            node_ip: string | null;
            /** @description The port of SSH; null unless the job is active. */
            node_port: number | null;
            /** @description Whether Jupyter answers; in a submit, whether to start it. `actions` shows later requests. */
            jupyter_enabled: boolean;
            /** @description The GitHub user whose SSH keys open the job once it is active. */
            github_user: string | null;
            /** @description Why the job waits or how it ended, in words. */
            status_reason: string | null;
            /** @description Place in the queue, 1 is first; null unless the job is queued. */
            queue_position: number | null;
            /**
             * Format: date-time
             * @description Estimated start: half of such jobs start no later. Null if there is no estimate.
             */
            estimated_start_time: string | null;
            /**
             * Format: date-time
             * @description Late estimate of the start: nine of ten such jobs start no later. Null if there is no estimate.
             */
            estimated_start_latest: string | null;
            /** @description The named disk, mounted at `$WORKSPACE`. A submit creates the disk if there is none of this name. */
            disk_name: string | null;
            /** @description How the job is isolated from the machine, on a local stack. */
            isolation: string | null;
            /** @description How the job's memory and processors are limited, on a local stack. */
            limits: string | null;
            /** @description The GitHub users that were added to the job and whose SSH keys get in. */
            secondary_users: string[];
            /**
             * Format: date-time
             * @description When the job first became active; null until then.
             */
            launched_at: string | null;
            /** @description Why there is no Jupyter on an active job that was to have one; null otherwise. */
            jupyter_error: string | null;
            /** @description Same as `status_reason`, for existing clients. */
            current_detailed_status: string | null;
            /** @description Problems of an active job: that it expires soon, or why requests failed or are retried, the newest first. Null if there is none. */
            warning: string | null;
            /** @description The image that the submit named. Null for a job from before this was noted. */
            image: string | null;
            /** @description Names of the job's `env_vars`, the first 4,096 characters of them. No value is ever shown. */
            env_names: string[];
            /** @description The exit code of the command that ended the job. Null until then, and if the job ended in another way. */
            exit_code: number | null;
            /**
             * Format: date-time
             * @description When the job ended. Null until its end is decided.
             */
            ended_at: string | null;
            /** @description GPUs times the hours in which the job was active, up to its end. */
            gpu_hours: number;
            /**
             * @description What happens when the job's machine is taken back, drained or lost. `fail` (default): the job fails. `requeue`: it returns to the queue with its disk and its remaining time.
             * @enum {string}
             */
            on_interruption: "fail" | "requeue";
            /** @description How often the job returned to the queue after an interruption. */
            requeue_count: number;
            /** @description Seconds from SIGTERM to SIGKILL of its command, as the submit chose; null for the deployment's. */
            grace_seconds: number | null;
            /** @description The least hours that it accepts on machines that close soon, as the submit chose; null: all of them. */
            min_duration_hours: number | null;
            /** @description Whole minutes until `estimated_start_time`; omitted if there is no estimate. */
            estimated_wait_minutes?: number;
        };
        AdminJobList: {
            /** @description The jobs, newest first. */
            jobs: components["schemas"]["AdminJob"][];
            /** @description Number of jobs that match the filter. */
            total: number;
            /** @description Maximum number of jobs to return, 1 to 500. */
            limit: number;
            /** @description Number of entries to skip. */
            offset: number;
        };
        AdminNode: {
            /** @description The machine's name. */
            node: string;
            /** @description The uid of its node object. */
            uid: string;
            /** @description The type of GPU. */
            gpu_type: string;
            /** @description The machine's zone. */
            zone: string;
            /**
             * @description `gone`: its node object is not there any more, or an operator called it dead.
             * @enum {string}
             */
            status: "ready" | "not_ready" | "cordoned" | "tainted" | "gone";
            /** @description What it offers: GPUs, vCPUs of a shared machine, 1 for another CPU machine. */
            units: number;
            /** @description How much of that environments have. */
            units_in_use: number;
            /**
             * Format: date-time
             * @description Until when an operator's declaration that it is dead counts; null if there is none.
             */
            gone_until: string | null;
        };
        AdminNodeList: {
            /** @description The machines, those that are gone first, then by name. */
            nodes: components["schemas"]["AdminNode"][];
            /** @description Number of machines. */
            total: number;
            /** @description Maximum number of jobs to return, 1 to 500. */
            limit: number;
            /** @description Number of entries to skip. */
            offset: number;
        };
        AdminPool: {
            /** @description The type of GPU. */
            gpu_type: string;
            /** @description What its machines offer, as of the last plan. */
            total: number;
            /** @description How much of that is free. */
            free: number;
            /** @description How much of that environments have. */
            in_use: number;
            /** @description Since when no new jobs are started on it; null while they are. */
            drained: components["schemas"]["ClosedNote"] | null;
            /** @description The zones, node groups and machines of it on which no new jobs are started. */
            drained_parts: components["schemas"]["PoolPart"][];
            /** @description The planned drains of it: of a zone, a node group or a machine, or of the whole type if all three are null. */
            planned_drains: components["schemas"]["PlannedPart"][];
            /** @description Number of machines; `nodes` lists at most 200. */
            node_count: number;
            /** @description The machines, with who has capacity there and until when. */
            nodes: components["schemas"]["PoolNode"][];
            /** @description Number of environments that wait; `queue` lists at most 100. */
            waiting_count: number;
            /** @description Those that wait, in the planner's order. */
            queue: components["schemas"]["PoolWaiting"][];
        };
        AdminPoolList: {
            /** @description Since when no new jobs are started at all; null while they are. */
            paused: components["schemas"]["ClosedNote"] | null;
            /** @description The types with machines, a queue or a closure. */
            pools: components["schemas"]["AdminPool"][];
            /** @description The last reads of EKS's node groups; null where there were none, as on a local stack. */
            node_groups: components["schemas"]["NodeGroupsReading"] | null;
        };
        AdminState: {
            /** @description Since when and why no new jobs are started at all; null while they are. */
            paused: {
                /**
                 * Format: date-time
                 * @description When an operator closed it or called it dead; null if an older version noted no time.
                 */
                since: string | null;
                /** @description The operator who did; null if an older version noted no name. */
                by: string | null;
                /** @description Why, in the operator's words; null if none were given. */
                reason: string | null;
            } | null;
            /** @description The GPU types on which no new jobs are started. */
            drained: components["schemas"]["DrainedType"][];
            /** @description The zones, node groups and machines on which no new jobs of a GPU type are started, oldest first. */
            drained_parts: components["schemas"]["NotedDrainedPart"][];
            /** @description The planned drains: of a zone, a node group or a machine, or of the whole type if all three are null. */
            planned_drains: components["schemas"]["NotedPlannedDrain"][];
            /** @description The machines that an operator called dead, at most 100. */
            gone_nodes: components["schemas"]["LostNode"][];
            /** @description Number of machines that an operator called dead; `gone_nodes` may list fewer. */
            gone_node_count: number;
        };
        AdminUser: {
            /** @description The user's name. */
            username: string;
            /** @description The user's number. */
            user_id: number;
            /** @description Whether the user is disabled. */
            disabled: boolean;
            /** @description Number of API keys that have not expired, beside those of browsers. */
            key_count: number;
            /** @description Number of browsers that are logged in. */
            web_session_count: number;
            /**
             * Format: date-time
             * @description When the newest of these keys was issued; null if there is none.
             */
            last_issued_at: string | null;
        };
        AdminUserList: {
            /** @description The users, by name. */
            users: components["schemas"]["AdminUser"][];
            /** @description Number of users. */
            total: number;
            /** @description Maximum number of entries to return, 1 to 500. */
            limit: number;
            /** @description Number of entries to skip. */
            offset: number;
        };
        AdminWebhookDelivery: {
            /** @description The id of the delivery: one event to one receiver. */
            delivery_id: string;
            /** @description The id of the job, instance or other environment that the event is about. */
            environment_id: string;
            /** @description The environment's name, for people. */
            environment_name: string;
            /** @description The API through which the environment was created. */
            api: string;
            /** @description Number of the environment's start, counted from 1. */
            run: number;
            /** @description The phase that the environment entered. */
            phase: string;
            /** @description The step of its preparation; null in other phases. */
            step: string | null;
            /**
             * @description `waiting` for its next attempt, `delivered`, or `given_up`.
             * @enum {string}
             */
            state: "waiting" | "delivered" | "given_up";
            /** @description Number of attempts so far. */
            attempt_count: number;
            /** @description The latest attempts, oldest first. */
            attempts: components["schemas"]["WebhookAttempt"][];
            /**
             * Format: date-time
             * @description When it was created.
             */
            created_at: string;
            /**
             * Format: date-time
             * @description When the next attempt is due; null unless the delivery waits.
             */
            next_attempt_at: string | null;
            /**
             * Format: date-time
             * @description When the delivery succeeded or was given up; null until then.
             */
            ended_at: string | null;
            /** @description The user name of the owner. */
            user_id: string;
        };
        AdminWebhookDeliveryList: {
            /** @description The deliveries, newest first. */
            deliveries: components["schemas"]["AdminWebhookDelivery"][];
            /** @description With `user`: the value of `after` for the next page; null on the last one. */
            next: string | null;
        };
        AdmissionState: {
            /** @description Whether no new jobs are started at all. */
            paused: boolean;
            /** @description The GPU types on which no new jobs are started. */
            drained_gpu_types: string[];
            /** @description The zones, node groups and machines on which no new jobs of a GPU type are started. */
            drained_parts: components["schemas"]["DrainedPart"][];
            /** @description The planned drains: of a zone, a node group or a machine, or of the whole type if all three are null. */
            planned_drains: components["schemas"]["PlannedDrain"][];
        };
        AllEnvironments: {
            /** @description Your environments, newest first. */
            environments: components["schemas"]["EnvironmentSummary"][];
            /** @description Number of entries that match. */
            total: number;
            /** @description Maximum number of entries to return, 1 to 500. */
            limit: number;
            /** @description Number of entries to skip. */
            offset: number;
        };
        Audit: {
            /** @description The entries, newest first. */
            entries: components["schemas"]["AuditEntry"][];
            /** @description Whether there are older entries. */
            more: boolean;
            /** @description Maximum number of jobs to return, 1 to 500. */
            limit: number;
            /** @description Number of entries to skip. */
            offset: number;
        };
        AuditEntry: {
            /** @description The entry's id. */
            id: string;
            /**
             * Format: date-time
             * @description When the state changed.
             */
            at: string;
            /** @description The operator who acted. */
            operator: string;
            /** @description The first 8 characters of the operator's API key. */
            key_prefix: string;
            /**
             * @description What the operator did.
             * @enum {string}
             */
            action: "list_jobs" | "cancel_job" | "disable_user" | "enable_user" | "drain_pool" | "undrain_pool" | "pause_admission" | "resume_admission" | "list_orphans" | "end_record" | "declare_node_gone" | "return_node" | "list_nodes" | "show_state" | "list_deliveries" | "list_pools" | "list_users";
            /** @description The target of the action; null if the action concerns everything. */
            target: string | null;
            /** @description The `X-Request-ID` of the operator's request. */
            request_id: string;
            /**
             * @description `started` before the action, then its outcome.
             * @enum {string}
             */
            result: "started" | "done" | "failed";
            /** @description Why the action failed, what it left, or which job the first characters of an id stood for. */
            reason: string | null;
            /** @description How many calls the entry stands for. Reads of one kind by one operator, with one key, share an entry for ten minutes; every other call has its own. */
            count: number;
        };
        Availability: {
            /** @description Numbers for each GPU type. */
            availability: {
                [key: string]: components["schemas"]["GpuAvailability"];
            };
            /**
             * Format: date-time
             * @description When these values were read.
             */
            timestamp: string;
        };
        CancelAnyJob: {
            /** @description The owner's user name. With it, a job that was submitted a second ago is found too. */
            user?: string | null;
            /** @description Why, in the operator's words. The owner reads it. */
            reason?: string | null;
        };
        ClosedNote: {
            /**
             * Format: date-time
             * @description When an operator closed it; null if an older version noted no time.
             */
            since: string | null;
            /** @description The operator who did; null if an older version noted no name. */
            by: string | null;
            /** @description Why, in the operator's words; null if none were given. */
            reason: string | null;
        };
        ClusterStatus: {
            /** @description Number of GPUs in the cluster. */
            total_gpus: number;
            /** @description Number of GPUs that are free now. */
            available_gpus: number;
            /** @description Number of GPUs in use by jobs. */
            in_use_gpus: number;
            /** @description Number of GPUs that waiting jobs asked for. */
            queued_gpus: number;
            /** @description Number of active jobs. */
            active_reservations: number;
            /** @description Number of jobs being prepared. */
            preparing_reservations: number;
            /** @description Number of jobs in the queue. */
            queued_reservations: number;
            /**
             * @description Always 0; kept for existing clients.
             * @constant
             */
            pending_reservations: 0;
            /** @description The same numbers for each GPU type. */
            by_gpu_type: {
                [key: string]: components["schemas"]["GpuCapacity"];
            };
            /** @description How wrong the estimates of the latest starts were, for each GPU type that had starts. */
            estimate_errors: {
                [key: string]: components["schemas"]["EstimateError"];
            };
            /**
             * Format: date-time
             * @description When these values were read.
             */
            timestamp: string;
        };
        CreateDisk: {
            /** @description The disk's name: at most 64 letters, digits, hyphens and underscores. */
            disk_name: string;
            /**
             * @description The disk's size in GB.
             * @default 100
             */
            size_gb?: number | null;
        };
        Discovery: {
            /**
             * @description Always `berth`.
             * @constant
             */
            service: "berth";
            /** @description The version of Berth. */
            version: string;
            /** @description The oldest version of the command line and of the SDK that this deployment still serves. */
            min_client_version: string;
            /** @description How to log in. */
            login: components["schemas"]["DiscoveryLogin"];
            /** @description Paths for people and for generators. */
            paths: components["schemas"]["DiscoveryPaths"];
            /** @description The SSH server for all jobs. Null if each job has its own address. */
            ssh: {
                /** @description The host name or address. */
                host: string;
                /** @description The port. */
                port: number;
                /** @description Its public keys for `known_hosts`, the present one first; two while a key is exchanged. */
                host_keys: string[];
            } | null;
            /** @description The command line that this deployment serves. Null if it serves none. */
            cli: components["schemas"]["DiscoveryCli"] | null;
        };
        DiscoveryCli: {
            /** @description The version of Berth. */
            version: string;
            /** @description The path of the login. */
            path: string;
            /** @description The SHA-256 of the tarball, in hex. */
            sha256: string;
            /** @description The oldest version of the command line that this deployment accepts. */
            min_version: string;
        };
        DiscoveryLogin: {
            /** @description The path of the login. */
            path: string;
            /** @description The value of the signed `x-berth-server-id` header. */
            server_id: string;
            /** @description The STS addresses that a signed request may be made for. */
            sts_origins: string[];
            /** @description The AWS region of the deployment. Null if unknown. */
            region: string | null;
        };
        DiscoveryPaths: {
            /** @description The interactive documentation. */
            docs: string;
            /** @description The OpenAPI document. */
            openapi: string;
            /** @description The web console: a path, or a URL if it has a host of its own. Null if the deployment has none. */
            console: string | null;
        };
        Disk: {
            /** @description The disk's name: at most 64 letters, digits, hyphens and underscores. */
            disk_name: string;
            /** @description The owner's user name. */
            user_id: string;
            /** @description The disk's size in GB. */
            size_gb: number;
            /**
             * Format: date-time
             * @description When it was created.
             */
            created_at: string;
            /**
             * Format: date-time
             * @description When a job last used the disk; null before the first job.
             */
            last_used: string | null;
            /** @description Whether a job uses the disk. */
            in_use: boolean;
            /** @description The job that uses the disk; null while none does. */
            reservation_id: string | null;
            /** @description Whether the disk is being backed up after its last job. */
            is_backing_up: boolean;
            /** @description Whether the disk is marked for deletion. */
            is_deleted: boolean;
            /** @description Number of completed snapshots. */
            snapshot_count: number;
            /**
             * Format: date
             * @description The day on which the deleted disk is removed for good; absent unless it is marked for deletion.
             */
            delete_date?: string;
        };
        DiskContent: {
            /** @description The disk's name: at most 64 letters, digits, hyphens and underscores. */
            disk_name: string;
            /** @description The files of the disk at its last completed snapshot that was listed, as `ls -R` prints them, at most 1 MiB; null without them. */
            content: string | null;
            /** @description Always null. */
            s3_path: null;
            /**
             * Format: date-time
             * @description When that snapshot was taken; null if there is none.
             */
            snapshot_date: string | null;
            /** @description Why `content` is null; null if there is content. */
            message: string | null;
        };
        DiskList: {
            /** @description Your disks, newest first, without deleted ones unless those are asked for. */
            disks: components["schemas"]["Disk"][];
            /** @description Number of entries in all. */
            total: number;
        };
        DiskOperation: {
            /** @description The id of the request, for `GET /v1/disks/{disk_name}/operations/{operation_id}`. */
            operation_id: string;
            /** @description The disk's name: at most 64 letters, digits, hyphens and underscores. */
            disk_name: string;
            /**
             * @description The request's current state.
             * @enum {string}
             */
            status: "pending" | "in_progress" | "completed" | "failed";
            /** @description Why the request failed; null unless it did. */
            error: string | null;
            /** @description Whether the request was a deletion. */
            is_deleted: boolean;
            /**
             * Format: date
             * @description The day on which the deleted disk is removed for good; null unless it is deleted.
             */
            delete_date: string | null;
            /**
             * Format: date-time
             * @description When it was created.
             */
            created_at: string;
            /**
             * Format: date-time
             * @description When the request last changed state.
             */
            last_updated: string;
            /** @description Whether the request is finished, successfully or not. */
            completed: boolean;
            /**
             * @description The requested action.
             * @enum {string}
             */
            action: "create" | "delete" | "undelete" | "snapshot";
            /** @description The snapshot that the request made; absent unless it made one. */
            snapshot_id?: string;
        };
        DiskRenamed: {
            /** @description What happened, in words. */
            message: string;
            /** @description The disk's former name. */
            old_name: string;
            /** @description The disk's new name. */
            new_name: string;
            /** @description Number of snapshots that carry the new name. */
            snapshots_updated: number;
            /** @description Snapshots that could not be renamed, and why; absent where all were. */
            errors?: string[];
        };
        DiskRequested: {
            /** @description The id of the request, for `GET /v1/disks/{disk_name}/operations/{operation_id}`. */
            operation_id: string;
            /** @description The disk's name: at most 64 letters, digits, hyphens and underscores. */
            disk_name: string;
            /**
             * @description The requested action.
             * @enum {string}
             */
            action: "create" | "delete" | "undelete" | "snapshot";
            /** @description What happened, in words. */
            message: string;
            /**
             * Format: date-time
             * @description When it was requested.
             */
            requested_at: string;
        };
        DiskRestored: {
            /** @description The id of the request, for `GET /v1/disks/{disk_name}/operations/{operation_id}`. */
            operation_id: string;
            /** @description The disk's name: at most 64 letters, digits, hyphens and underscores. */
            disk_name: string;
            /**
             * @description The requested action.
             * @enum {string}
             */
            action: "create" | "delete" | "undelete" | "snapshot";
            /** @description What happened, in words. */
            message: string;
            /**
             * Format: date-time
             * @description When it was requested.
             */
            requested_at: string;
            /** @description The disk that the snapshot is of. */
            restored_from: string;
            /** @description The snapshot. */
            snapshot_id: string;
            /**
             * Format: date-time
             * @description The point in time that the new disk will hold.
             */
            snapshot_date: string;
        };
        DiskSnapshotList: {
            /** @description The disk's name: at most 64 letters, digits, hyphens and underscores. */
            disk_name: string;
            /** @description The disk's snapshots, newest first. */
            snapshots: components["schemas"]["Snapshot"][];
            /** @description Number of entries in all. */
            total: number;
        };
        DiskSnapshotRequested: {
            /** @description The id of the request, for `GET /v1/disks/{disk_name}/operations/{operation_id}`. */
            operation_id: string;
            /** @description The disk's name: at most 64 letters, digits, hyphens and underscores. */
            disk_name: string;
            /**
             * @description The requested action.
             * @enum {string}
             */
            action: "create" | "delete" | "undelete" | "snapshot";
            /** @description What happened, in words. */
            message: string;
            /**
             * Format: date-time
             * @description When it was requested.
             */
            requested_at: string;
            /** @description The snapshot on demand that is removed once this one is completed; null while none has to go. */
            replaces: string | null;
        };
        DrainRequest: {
            /** @description Why, in the operator's words; null if none were given. */
            reason?: string | null;
            /** @description Only the machines in this zone; null for the whole type. */
            zone?: string | null;
            /** @description Only the machines of this node group of EKS; null for the whole type. */
            node_group?: string | null;
            /** @description Only the machine of this name; null for the whole type. */
            node?: string | null;
            /**
             * Format: date-time
             * @description Drain at this time, at most 90 days ahead: until then, only jobs that end by then are started there. null for now.
             */
            at?: string | null;
        };
        DrainedPart: {
            /** @description The type of GPU. */
            gpu_type: string;
            /** @description The drained zone; null if it is something else. */
            zone: string | null;
            /** @description The name of the drained node group; null if it is something else. */
            node_group: string | null;
            /** @description The name of the drained machine; null if it is something else. */
            node: string | null;
        };
        DrainedType: {
            /** @description The type of GPU. */
            gpu_type: string;
            /**
             * Format: date-time
             * @description When an operator closed it or called it dead; null if an older version noted no time.
             */
            since: string | null;
            /** @description The operator who did; null if an older version noted no name. */
            by: string | null;
            /** @description Why, in the operator's words; null if none were given. */
            reason: string | null;
        };
        EndRecord: {
            /** @description The record's key as the alarm names it: partition key, a bar, sort key. */
            key: string;
        };
        EndedRecord: {
            /** @description The record's key as the alarm names it: partition key, a bar, sort key. */
            key: string;
            /**
             * @description The record was ended.
             * @constant
             */
            status: "ended";
            /** @description Of a disk: the volume and snapshots that remain in the cloud. */
            kept?: {
                /** @description The disk's volume, if it has one. */
                volume: string | null;
                /** @description The disk's snapshots. */
                snapshots: string[];
            };
        };
        EnvironmentLinks: {
            /** @description The path of its own call. */
            self: string;
            /** @description The address of its first HTTP port; null if it has none now. */
            page: string | null;
        };
        EnvironmentSummary: {
            /** @description The environment's id in its API. */
            id: string;
            /**
             * @description The API that made it, and that changes it.
             * @enum {string}
             */
            api: "gpu-dev" | "session-manager" | "onmemos" | "novita" | "dev8";
            /** @description The environment's name, for people. */
            name: string;
            /**
             * @description The state of its record, in the same words for all APIs.
             * @enum {string}
             */
            phase: "queued" | "preparing" | "active" | "stopping" | "stopped" | "completed" | "expired" | "cancelled" | "failed" | "deleted";
            /** @description Why it waits, what it is preparing, or why it ended. */
            reason: string | null;
            /** @description The type of GPU. */
            gpu_type: string;
            /** @description Number of GPUs. */
            gpu_count: number;
            /** @description Its place among those that wait for this type; null if it has none. */
            queue_position: number | null;
            /**
             * Format: date-time
             * @description When it should start; null unless it waits, or if unknown.
             */
            estimated_start_time: string | null;
            /** @description Its named disk; null if it has none. */
            disk_name: string | null;
            /**
             * Format: date-time
             * @description When it was created.
             */
            created_at: string;
            /**
             * Format: date-time
             * @description When its time is over; null if it has no end, or before its start.
             */
            expires_at: string | null;
            /**
             * Format: date-time
             * @description When it ended; null until then.
             */
            ended_at: string | null;
            /** @description Where to go on. */
            links: components["schemas"]["EnvironmentLinks"];
        };
        EstimateError: {
            /** @description Number of starts that the figures are computed from. */
            starts: number;
            /** @description Share of those starts, 0 to 1, that came no later than `estimated_start_latest` said. */
            covered: number;
            /** @description Median error of `estimated_start_time`, as a share of the real wait. */
            median_error: number;
        };
        ExtendJob: {
            /** @description Number of hours to add. */
            extension_hours: number;
        };
        GpuAvailability: {
            /** @description The type of GPU. */
            gpu_type: string;
            /** @description Number of GPUs of this type. */
            total: number;
            /** @description Number of GPUs that are free now. A machine that is down has none. */
            available: number;
            /** @description Number of GPUs in use by jobs. */
            in_use: number;
            /** @description Number of GPUs that waiting jobs asked for. */
            queued: number;
            /** @description Number of GPUs in one machine. */
            max_per_node: number;
            /** @description The machine of this type, as a job names it. */
            instance_type: string;
            /** @description Whether jobs of this type start now. They may be submitted in any case. */
            open: boolean;
            /** @description Why no job of this type starts now. Null while they do. */
            closed_reason: string | null;
            /** @description Number of GPUs that are free on one machine, at most. */
            largest_free: number;
            /** @description The values of `gpu_count` that a job of this type may have. */
            count_options: number[];
            /** @description Number of machines that its node group could still make. Their GPUs count as free, unless the provider lacks machines. */
            scalable: number;
        };
        GpuCapacity: {
            /** @description The type of GPU. */
            gpu_type: string;
            /** @description Number of GPUs of this type. */
            total: number;
            /** @description Number of GPUs that are free now. A machine that is down has none. */
            available: number;
            /** @description Number of GPUs in use by jobs. */
            in_use: number;
            /** @description Number of GPUs that waiting jobs asked for. */
            queued: number;
            /** @description Number of GPUs in one machine. */
            max_per_node: number;
        };
        Health: {
            /**
             * @description `healthy`, or `unhealthy` with status 503.
             * @enum {string}
             */
            status: "healthy" | "unhealthy";
            /** @description The reason for 503; absent otherwise. */
            reason?: string;
            /**
             * Format: date-time
             * @description When these values were read.
             */
            timestamp: string;
            /** @description Time since the deployment or the start of the server, as Go prints durations. */
            uptime: string;
            /** @description The same in whole seconds. */
            uptimeSeconds: number;
            /** @description The version of Berth. */
            version: string;
            /**
             * @description Always `berth`.
             * @constant
             */
            service: "berth";
            /**
             * @description Whether records can be read.
             * @enum {string}
             */
            database: "healthy" | "unhealthy";
            /**
             * @description Whether messages can be read.
             * @enum {string}
             */
            queue: "healthy" | "unhealthy";
            /** @description The cluster that environments run on, as its latest listing found it. */
            cluster: {
                /** @description Whether it answered. */
                reachable: boolean;
                /**
                 * Format: date-time
                 * @description When that changed last; null if never.
                 */
                since: string | null;
            };
            /** @description How environments are isolated from the machine, on a local stack. */
            isolation: string;
            /** @description How the memory and processors of environments are limited, on a local stack. */
            limits: string;
            /** @description The parts of Berth, one state each. */
            services: components["schemas"]["HealthServices"];
        };
        HealthServices: {
            /**
             * @description `up` while the queue is healthy.
             * @enum {string}
             */
            jobQueue: "up" | "down";
            /**
             * @description Always `running`.
             * @enum {string}
             */
            server: "running" | "stopped";
            /**
             * @description `available` while the database is healthy.
             * @enum {string}
             */
            storage: "available" | "unavailable";
        };
        Job: {
            /** @description The job's id. In a path its first 4 or more characters are enough, while only one of your jobs begins with them. */
            job_id: string;
            /** @description Same as `job_id`, for existing clients. */
            reservation_id: string;
            /** @description The owner's user name. */
            user_id: string;
            /** @description The job's current state. */
            status: components["schemas"]["JobStatus"];
            /** @description The type of GPU, for example `h100`. A submit may leave it out; it must match the instance type. */
            gpu_type: string;
            /** @description Number of GPUs: part of a machine, or all GPUs of 1 to 8 machines. Without it, a submit asks for one machine. */
            gpu_count: number;
            /** @description The machine, by its AWS name. */
            instance_type: string;
            /** @description Duration in hours. A shown job's duration includes its extensions. */
            duration_hours: number;
            /**
             * Format: date-time
             * @description When it was created.
             */
            created_at: string;
            /**
             * Format: date-time
             * @description When the job's time is over; null while it is queued or preparing.
             */
            expires_at: string | null;
            /** @description The job's name, for people. */
            name: string;
            /** @description The pod's name, for people. */
            pod_name: string;
            /** @description The address of SSH; null unless the job is active. */
            node_ip: string | null;
            /** @description The port of SSH; null unless the job is active. */
            node_port: number | null;
            /** @description A command that connects to the job; null unless the job is active and some key would get in. */
            ssh_command: string | null;
            /** @description Whether Jupyter answers; in a submit, whether to start it. `actions` shows later requests. */
            jupyter_enabled: boolean;
            /** @description The address of Jupyter; null until it answers, and where `warning` says that no address leads to it. */
            jupyter_url: string | null;
            /** @description The token that opens Jupyter; null until it answers. */
            jupyter_token: string | null;
            /** @description The GitHub user whose SSH keys open the job once it is active. */
            github_user: string | null;
            /** @description Why the job waits or how it ended, in words. */
            status_reason: string | null;
            /** @description Place in the queue, 1 is first; null unless the job is queued. */
            queue_position: number | null;
            /**
             * Format: date-time
             * @description Estimated start: half of such jobs start no later. Null if there is no estimate.
             */
            estimated_start_time: string | null;
            /**
             * Format: date-time
             * @description Late estimate of the start: nine of ten such jobs start no later. Null if there is no estimate.
             */
            estimated_start_latest: string | null;
            /** @description The named disk, mounted at `$WORKSPACE`. A submit creates the disk if there is none of this name. */
            disk_name: string | null;
            /** @description How the job is isolated from the machine, on a local stack. */
            isolation: string | null;
            /** @description How the job's memory and processors are limited, on a local stack. */
            limits: string | null;
            /** @description The GitHub users that were added to the job and whose SSH keys get in. */
            secondary_users: string[];
            /** @description The public key by which the job's SSH server is known, for `known_hosts`; null unless the job is active. */
            ssh_host_key: string | null;
            /**
             * Format: date-time
             * @description When the job first became active; null until then.
             */
            launched_at: string | null;
            /** @description The port of `jupyter_url`; null until Jupyter answers. */
            jupyter_port: number | null;
            /** @description Why there is no Jupyter on an active job that was to have one; null otherwise. */
            jupyter_error: string | null;
            /** @description Same as `status_reason`, for existing clients. */
            current_detailed_status: string | null;
            /** @description Problems of an active job: that it expires soon, or why requests failed or are retried, the newest first. Null if there is none. */
            warning: string | null;
            /** @description The image that the submit named. Null for a job from before this was noted. */
            image: string | null;
            /** @description Names of the job's `env_vars`, the first 4,096 characters of them. No value is ever shown. */
            env_names: string[];
            /** @description The exit code of the command that ended the job. Null until then, and if the job ended in another way. */
            exit_code: number | null;
            /**
             * Format: date-time
             * @description When the job ended. Null until its end is decided.
             */
            ended_at: string | null;
            /** @description GPUs times the hours in which the job was active, up to its end. */
            gpu_hours: number;
            /**
             * @description What happens when the job's machine is taken back, drained or lost. `fail` (default): the job fails. `requeue`: it returns to the queue with its disk and its remaining time.
             * @enum {string}
             */
            on_interruption: "fail" | "requeue";
            /** @description How often the job returned to the queue after an interruption. */
            requeue_count: number;
            /** @description Seconds from SIGTERM to SIGKILL of its command, as the submit chose; null for the deployment's. */
            grace_seconds: number | null;
            /** @description The least hours that it accepts on machines that close soon, as the submit chose; null: all of them. */
            min_duration_hours: number | null;
            /** @description Whole minutes until `estimated_start_time`; omitted if there is no estimate. */
            estimated_wait_minutes?: number;
            /** @description The first 200 characters of the command. Only the owner sees them, in this answer alone. Null without a command, and once the job has ended. */
            command: string | null;
            /** @description The 20 newest requests on the job, oldest first. */
            actions: components["schemas"]["JobAction"][];
            /** @description The 40 newest changes of state, oldest first. */
            timeline: components["schemas"]["JobTimelineEntry"][];
        };
        JobAction: {
            /** @description The number of the request on this job, the "message ID" of its answer. */
            id: number;
            /**
             * @description The requested action.
             * @enum {string}
             */
            action: "cancel" | "extend" | "enable_jupyter" | "disable_jupyter" | "add_user";
            /**
             * @description `requested` at first, then `done` or `failed`.
             * @enum {string}
             */
            status: "requested" | "done" | "failed";
            /** @description Why the request failed, or why it is being tried again; null otherwise. */
            error: string | null;
            /**
             * Format: date-time
             * @description When it was requested.
             */
            requested_at: string;
            /**
             * Format: date-time
             * @description When the request was done or failed; null until then.
             */
            completed_at: string | null;
        };
        JobActionRequested: {
            /** @description The job's id. In a path its first 4 or more characters are enough, while only one of your jobs begins with them. */
            job_id: string;
            /**
             * @description The requested action.
             * @enum {string}
             */
            action: "cancel" | "extend" | "enable_jupyter" | "disable_jupyter" | "add_user";
            /**
             * @description The request is recorded; `actions` of the job shows its outcome.
             * @constant
             */
            status: "requested";
            /** @description A confirmation with the number of the request. */
            message: string;
        };
        JobAlternative: {
            /** @description Number of GPUs: part of a machine, or all GPUs of 1 to 8 machines. Without it, a submit asks for one machine. */
            gpu_count: number;
            /**
             * Format: date-time
             * @description Estimated start: half of such jobs start no later. Null if there is no estimate.
             */
            estimated_start_time: string | null;
            /**
             * Format: date-time
             * @description Late estimate of the start: nine of ten such jobs start no later. Null if there is no estimate.
             */
            estimated_start_latest: string | null;
        };
        JobEstimate: {
            /**
             * Format: date-time
             * @description Estimated start: half of such jobs start no later. Null if there is no estimate.
             */
            estimated_start_time: string | null;
            /**
             * Format: date-time
             * @description Late estimate of the start: nine of ten such jobs start no later. Null if there is no estimate.
             */
            estimated_start_latest: string | null;
            /** @description Place in the queue, 1 is first; null unless the job is queued. */
            queue_position: number | null;
            /** @description `Would start now`, or why the job would wait. */
            reason: string;
            /** @description Smaller GPU counts that would start earlier, soonest first. */
            alternatives: components["schemas"]["JobAlternative"][];
            /** @description GPUs times the hours that the job asks for: what it uses if it runs to its end. */
            gpu_hours: number;
            /** @description Unknown fields and parameters of the request. Omitted if there are none. */
            ignored?: string[];
        };
        JobList: {
            /** @description The jobs, newest first. */
            jobs: components["schemas"]["JobSummary"][];
            /** @description Number of jobs that match the filter. */
            total: number;
            /** @description Maximum number of jobs to return, 1 to 500. */
            limit: number;
            /** @description Number of entries to skip. */
            offset: number;
        };
        JobLogs: {
            /** @description The job's id. In a path its first 4 or more characters are enough, while only one of your jobs begins with them. */
            job_id: string;
            /** @description Standard output and error of the command, as one text. */
            logs: string;
            /** @description Whether older output is missing: before these lines, or between `after` and this output. */
            truncated: boolean;
            /** @description The position behind this output. Send it as `after` to go on from there. */
            next: string;
            /** @description Whether nothing follows any more: the job has ended, and this was the end of its log. */
            ended: boolean;
            /** @description Unknown fields and parameters of the request. Omitted if there are none. */
            ignored?: string[];
        };
        /** @enum {string} */
        JobStatus: "queued" | "preparing" | "active" | "completed" | "expired" | "cancelled" | "failed";
        JobSummary: {
            /** @description The job's id. In a path its first 4 or more characters are enough, while only one of your jobs begins with them. */
            job_id: string;
            /** @description Same as `job_id`, for existing clients. */
            reservation_id: string;
            /** @description The owner's user name. */
            user_id: string;
            /** @description The job's current state. */
            status: components["schemas"]["JobStatus"];
            /** @description The type of GPU, for example `h100`. A submit may leave it out; it must match the instance type. */
            gpu_type: string;
            /** @description Number of GPUs: part of a machine, or all GPUs of 1 to 8 machines. Without it, a submit asks for one machine. */
            gpu_count: number;
            /** @description The machine, by its AWS name. */
            instance_type: string;
            /** @description Duration in hours. A shown job's duration includes its extensions. */
            duration_hours: number;
            /**
             * Format: date-time
             * @description When it was created.
             */
            created_at: string;
            /**
             * Format: date-time
             * @description When the job's time is over; null while it is queued or preparing.
             */
            expires_at: string | null;
            /** @description The job's name, for people. */
            name: string;
            /** @description The pod's name, for people. */
            pod_name: string;
            /** @description The address of SSH; null unless the job is active. */
            node_ip: string | null;
            /** @description The port of SSH; null unless the job is active. */
            node_port: number | null;
            /** @description A command that connects to the job; null unless the job is active and some key would get in. */
            ssh_command: string | null;
            /** @description Whether Jupyter answers; in a submit, whether to start it. `actions` shows later requests. */
            jupyter_enabled: boolean;
            /** @description The address of Jupyter; null until it answers, and where `warning` says that no address leads to it. */
            jupyter_url: string | null;
            /** @description The token that opens Jupyter; null until it answers. */
            jupyter_token: string | null;
            /** @description The GitHub user whose SSH keys open the job once it is active. */
            github_user: string | null;
            /** @description Why the job waits or how it ended, in words. */
            status_reason: string | null;
            /** @description Place in the queue, 1 is first; null unless the job is queued. */
            queue_position: number | null;
            /**
             * Format: date-time
             * @description Estimated start: half of such jobs start no later. Null if there is no estimate.
             */
            estimated_start_time: string | null;
            /**
             * Format: date-time
             * @description Late estimate of the start: nine of ten such jobs start no later. Null if there is no estimate.
             */
            estimated_start_latest: string | null;
            /** @description The named disk, mounted at `$WORKSPACE`. A submit creates the disk if there is none of this name. */
            disk_name: string | null;
            /** @description How the job is isolated from the machine, on a local stack. */
            isolation: string | null;
            /** @description How the job's memory and processors are limited, on a local stack. */
            limits: string | null;
            /** @description The GitHub users that were added to the job and whose SSH keys get in. */
            secondary_users: string[];
            /** @description The public key by which the job's SSH server is known, for `known_hosts`; null unless the job is active. */
            ssh_host_key: string | null;
            /**
             * Format: date-time
             * @description When the job first became active; null until then.
             */
            launched_at: string | null;
            /** @description The port of `jupyter_url`; null until Jupyter answers. */
            jupyter_port: number | null;
            /** @description Why there is no Jupyter on an active job that was to have one; null otherwise. */
            jupyter_error: string | null;
            /** @description Same as `status_reason`, for existing clients. */
            current_detailed_status: string | null;
            /** @description Problems of an active job: that it expires soon, or why requests failed or are retried, the newest first. Null if there is none. */
            warning: string | null;
            /** @description The image that the submit named. Null for a job from before this was noted. */
            image: string | null;
            /** @description Names of the job's `env_vars`, the first 4,096 characters of them. No value is ever shown. */
            env_names: string[];
            /** @description The exit code of the command that ended the job. Null until then, and if the job ended in another way. */
            exit_code: number | null;
            /**
             * Format: date-time
             * @description When the job ended. Null until its end is decided.
             */
            ended_at: string | null;
            /** @description GPUs times the hours in which the job was active, up to its end. */
            gpu_hours: number;
            /**
             * @description What happens when the job's machine is taken back, drained or lost. `fail` (default): the job fails. `requeue`: it returns to the queue with its disk and its remaining time.
             * @enum {string}
             */
            on_interruption: "fail" | "requeue";
            /** @description How often the job returned to the queue after an interruption. */
            requeue_count: number;
            /** @description Seconds from SIGTERM to SIGKILL of its command, as the submit chose; null for the deployment's. */
            grace_seconds: number | null;
            /** @description The least hours that it accepts on machines that close soon, as the submit chose; null: all of them. */
            min_duration_hours: number | null;
            /** @description Whole minutes until `estimated_start_time`; omitted if there is no estimate. */
            estimated_wait_minutes?: number;
        };
        JobTerminalTicket: {
            /** @description The WebSocket address of the terminal. */
            url: string;
            /** @description Opens the terminal once. It goes into the subprotocol `berth.ticket.<ticket>`. */
            ticket: string;
            /**
             * Format: date-time
             * @description When the ticket expires, 30 s after the answer.
             */
            expires_at: string;
            /** @description The terminal's id. */
            terminal_id: string;
        };
        JobTimelineEntry: {
            /**
             * Format: date-time
             * @description When the state changed.
             */
            at: string;
            /** @description The job's state from then on. */
            status: components["schemas"]["JobStatus"];
            /** @description Why the state changed; null without a reason. */
            reason: string | null;
        };
        Key: {
            /** @description The first 8 characters of the API key, which name it in lists and logs. */
            key_prefix: string;
            /**
             * @description `login` for a key that a login issued, `rotation` for one that took the place of another, `web` for a browser's session.
             * @enum {string}
             */
            kind: "login" | "rotation" | "web";
            /**
             * Format: date-time
             * @description When it was created.
             */
            created_at: string;
            /**
             * Format: date-time
             * @description When the API key expires.
             */
            expires_at: string;
            /**
             * Format: date-time
             * @description When the API key was last used, to the hour.
             */
            last_used_at: string;
            /** @description Whether this request was made with it. */
            current: boolean;
        };
        KeyList: {
            /** @description Your API keys that work. */
            keys: components["schemas"]["Key"][];
            /** @description Number of entries in all. */
            total: number;
        };
        Liveness: {
            /**
             * @description The state in one word.
             * @constant
             */
            status: "alive";
        };
        LoggedIn: {
            /** @description The API key. It is shown only in this answer. */
            api_key: string;
            /** @description The first 8 characters of the API key, which name it in lists and logs. */
            key_prefix: string;
            /** @description Your user number. */
            user_id: number;
            /** @description Your user name, taken from the session name of the AWS identity. */
            username: string;
            /** @description The AWS identity that STS reported. */
            aws_arn: string;
            /**
             * Format: date-time
             * @description When the API key expires.
             */
            expires_at: string;
            /** @description Lifetime of the API key in hours. */
            ttl_hours: number;
        };
        LoginRequest: {
            /** @description The access key id of your AWS credentials. Send credentials, or a signed request (`iam_request_…`). */
            aws_access_key_id?: string | null;
            /** @description The secret access key. Berth keeps it in memory until STS has answered, and stores it nowhere. */
            aws_secret_access_key?: string | null;
            /** @description The session token of temporary credentials. An empty text counts as none. */
            aws_session_token?: string | null;
            /** @description The URL of a GetCallerIdentity request that you signed yourself. With this form your secret stays with you. */
            iam_request_url?: string | null;
            /** @description All headers of the signed request. The signature must cover `host`, `x-amz-date` and `x-berth-server-id`. */
            iam_request_headers?: {
                [key: string]: string;
            } | null;
            /** @description The body of the signed POST request; `Action=GetCallerIdentity&Version=2011-06-15` is assumed without it. */
            iam_request_body?: string | null;
            /** @description The method of the signed request; `POST` is assumed without it. */
            iam_request_method?: ("POST" | "GET") | null;
        };
        LostNode: {
            /** @description The machine's name. */
            node: string;
            /** @description The id that the environment keeps for its whole life. */
            uid: string;
            /** @description The type of GPU. */
            gpu_type: string;
            /**
             * Format: date-time
             * @description When an operator closed it or called it dead; null if an older version noted no time.
             */
            since: string | null;
            /** @description The operator who did; null if an older version noted no name. */
            by: string | null;
            /** @description Why, in the operator's words; null if none were given. */
            reason: string | null;
            /**
             * Format: date-time
             * @description Until when the operator's word counts.
             */
            until: string;
        };
        Me: {
            /** @description Your user name. */
            username: string;
            /** @description Your user number. */
            user_id: number;
            /** @description Whether the calls for operators are there for you. */
            is_operator: boolean;
            /** @description The API key that this request was made with. */
            key: components["schemas"]["OwnKey"];
            /** @description What you may ask for. */
            limits: components["schemas"]["OwnLimits"];
            /** @description The domain below which environments serve their pages. */
            pages_domain: string;
        };
        NodeBack: {
            /** @description The machine's name. */
            node: string;
            /** @description The id that the environment keeps for its whole life. */
            uid: string;
            /**
             * @description The machine counts again once the cluster lists it, within a minute.
             * @constant
             */
            status: "back";
        };
        NodeGone: {
            /** @description The machine's name. */
            node: string;
            /** @description The id that the environment keeps for its whole life. */
            uid: string;
            /**
             * @description The machine is treated as dead: what ran there is lost.
             * @constant
             */
            status: "gone";
        };
        NodeGroup: {
            /** @description The group's name. */
            node_group: string;
            /** @description Its machine types. Jobs get no new machine of a group with several. */
            instance_types: string[];
            /** @description The zones of its machines; empty if unknown. */
            zones: string[];
            /** @description How many machines it always keeps; null if unknown. */
            min: number | null;
            /** @description How many machines it should have now; null if unknown. */
            desired: number | null;
            /** @description How many machines it may have. */
            max: number;
            /** @description False while it is being created or deleted, or if it has failed. */
            active: boolean;
            /** @description Whether its taints and labels let jobs in. */
            admits_jobs: boolean;
            /** @description What it lacks to create a machine, as EKS reports; null if nothing. */
            lacks: ("machines" | "quota" | "addresses" | "other") | null;
            /** @description The zones where it lacks that; empty for all of its zones. */
            lacks_in: string[];
            /**
             * Format: date-time
             * @description When its Capacity Block starts; null if it has none.
             */
            starts_at: string | null;
            /**
             * Format: date-time
             * @description When its Capacity Block ends; null if it has none.
             */
            ends_at: string | null;
        };
        NodeGroupsReading: {
            /** @description The managed node groups of the cluster, as of the last answer. */
            groups: components["schemas"]["NodeGroup"][];
            /**
             * Format: date-time
             * @description When EKS told its node groups; null if it never did. These count until the next answer.
             */
            read_at: string | null;
            /**
             * Format: date-time
             * @description When EKS was asked last.
             */
            asked_at: string;
            /** @description The kind of error that EKS replied with then; null if it told its node groups. */
            error: string | null;
        };
        NotedDrainedPart: {
            /** @description The type of GPU. */
            gpu_type: string;
            /** @description The drained zone; null if it is something else. */
            zone: string | null;
            /** @description The name of the drained node group; null if it is something else. */
            node_group: string | null;
            /** @description The name of the drained machine; null if it is something else. */
            node: string | null;
            /**
             * Format: date-time
             * @description When an operator closed it or called it dead; null if an older version noted no time.
             */
            since: string | null;
            /** @description The operator who did; null if an older version noted no name. */
            by: string | null;
            /** @description Why, in the operator's words; null if none were given. */
            reason: string | null;
        };
        NotedPlannedDrain: {
            /** @description The type of GPU. */
            gpu_type: string;
            /** @description The zone to be drained; null for another part or the whole type. */
            zone: string | null;
            /** @description The node group to be drained; null for another part or the whole type. */
            node_group: string | null;
            /** @description The machine to be drained; null for another part or the whole type. */
            node: string | null;
            /**
             * Format: date-time
             * @description When it is drained. Until then, only jobs that end by then start there.
             */
            at: string;
            /**
             * Format: date-time
             * @description When the drain was planned.
             */
            since: string | null;
            /** @description The operator who planned it; `provider` for the end of a Capacity Block. */
            by: string | null;
            /** @description Why, in the operator's words; null if none were given. */
            reason: string | null;
            /** @description Whether the provider ends the machines then, so that no operator can drop the drain. */
            by_provider: boolean;
        };
        OpenJobTerminal: {
            /** @description A terminal of this job to return to. Without it a new one is started. */
            terminal_id?: string | null;
        };
        OperatorReason: {
            /** @description Why, in the operator's words; null if none were given. */
            reason?: string | null;
        };
        OrphanRecord: {
            /** @description The record's key. */
            record: string;
            /** @description The id that the environment keeps for its whole life. */
            uid: string;
            /** @description Number of the environment's start, counted from 1. */
            run: number;
            /** @description The reason as text. */
            why: string;
            /**
             * Format: date-time
             * @description When this was first seen.
             */
            first_seen_at: string;
            /** @description Number of times this was seen. */
            sightings: number;
        };
        OrphanRun: {
            /** @description The record's key. */
            record: string;
            /** @description The id that the environment keeps for its whole life. */
            uid: string;
            /** @description Number of the environment's start, counted from 1. */
            run: number;
            /** @description The reason as text. */
            why: string;
            /**
             * Format: date-time
             * @description When this was first seen.
             */
            first_seen_at: string;
            /** @description Number of times this was seen. */
            sightings: number;
            /** @description The type of GPU. */
            gpu_type: string | null;
            /** @description Number of GPUs: part of a machine, or all GPUs of 1 to 8 machines. Without it, a submit asks for one machine. */
            gpu_count: number | null;
        };
        OrphanSnapshot: {
            /** @description The record of its disk, as its tags name it. */
            record: string | null;
            /** @description The snapshot's id. */
            snapshot: string;
            /** @description The reason as text. */
            why: string;
            /**
             * Format: date-time
             * @description When this was first seen.
             */
            first_seen_at: string;
            /** @description Number of times this was seen. */
            sightings: number;
        };
        OrphanVolume: {
            /** @description The record that it was made for; null where nothing says it. */
            record: string | null;
            /** @description The volume's id. */
            volume: string;
            /** @description The reason as text. */
            why: string;
            /**
             * Format: date-time
             * @description When this was first seen.
             */
            first_seen_at: string;
            /** @description Number of times this was seen. */
            sightings: number;
        };
        Orphans: {
            /**
             * Format: date-time
             * @description When the cluster was last compared with the records; null before the first comparison.
             */
            checked_at: string | null;
            /** @description Number of runs without a living record; `runs` may list fewer. */
            run_count: number;
            /** @description Runs on the cluster without a living record. */
            runs: components["schemas"]["OrphanRun"][];
            /** @description Number of records without their run; `records` may list fewer. */
            record_count: number;
            /** @description Records whose run is not on the cluster. */
            records: components["schemas"]["OrphanRecord"][];
            /** @description Number of volumes that no record names; `volumes` may list fewer. */
            volume_count: number;
            /** @description Volumes that no record names, at most 50. Nothing removes them. */
            volumes: components["schemas"]["OrphanVolume"][];
            /** @description Number of snapshots of disks that no record names; `snapshots` may list fewer. */
            snapshot_count: number;
            /** @description Snapshots of disks that no record names, at most 50. Nothing removes them. */
            snapshots: components["schemas"]["OrphanSnapshot"][];
            /** @description Number of runs removed so far. */
            removed_count: number;
            /** @description The runs that were removed last. */
            removed: components["schemas"]["RemovedOrphan"][];
            /** @description GPU hours used by runs without a living record. */
            orphan_gpu_hours: number;
            /** @description GB hours of all volumes that no record names, where their sizes are known. */
            orphan_gb_hours: number;
        };
        OwnKey: {
            /** @description The first 8 characters of the API key. */
            key_prefix: string;
            /**
             * @description `login` for a key that a login issued, `rotation` for one that took the place of another, `web` for a browser's session.
             * @enum {string}
             */
            kind: "login" | "rotation" | "web";
            /**
             * Format: date-time
             * @description When the API key stops working.
             */
            expires_at: string;
            /**
             * Format: date-time
             * @description No key that this one is exchanged for works longer: then you have to log in again.
             */
            chain_ends_at: string;
        };
        OwnLimits: {
            /** @description The shortest time that a job may ask for. */
            min_duration_hours: number;
            /** @description The longest time that a job, or one extension, may ask for. */
            max_duration_hours: number;
            /** @description The longest time of a job, with all extensions. */
            max_total_hours: number;
            /** @description How many of your jobs may wait for one type of machine. Null for any number. */
            max_waiting_jobs: number | null;
            /** @description How many API keys you may have that work, beside those of browsers. */
            max_keys: number;
            /** @description In how many browsers you may be logged in. */
            max_web_sessions: number;
        };
        PlannedDrain: {
            /** @description The type of GPU. */
            gpu_type: string;
            /** @description The zone to be drained; null for another part or the whole type. */
            zone: string | null;
            /** @description The node group to be drained; null for another part or the whole type. */
            node_group: string | null;
            /** @description The machine to be drained; null for another part or the whole type. */
            node: string | null;
            /**
             * Format: date-time
             * @description When it is drained. Until then, only jobs that end by then start there.
             */
            at: string;
        };
        PlannedPart: {
            /** @description The zone to be drained; null for another part or the whole type. */
            zone: string | null;
            /** @description The node group to be drained; null for another part or the whole type. */
            node_group: string | null;
            /** @description The machine to be drained; null for another part or the whole type. */
            node: string | null;
            /**
             * Format: date-time
             * @description When it is drained. Until then, only jobs that end by then start there.
             */
            at: string;
            /**
             * Format: date-time
             * @description When the drain was planned.
             */
            since: string | null;
            /** @description The operator who planned it; `provider` for the end of a Capacity Block. */
            by: string | null;
            /** @description Why, in the operator's words; null if none were given. */
            reason: string | null;
            /** @description Whether the provider ends the machines then, so that no operator can drop the drain. */
            by_provider: boolean;
        };
        PoolHolder: {
            /** @description The user name of the owner. */
            user_id: string;
            /** @description The environment's id in its API. */
            environment_id: string;
            /** @description The API through which the environment was created. */
            api: string;
            /** @description How much of this machine it has. */
            units: number;
            /**
             * @description `granted` until the environment has taken what it was granted.
             * @enum {string}
             */
            phase: "granted" | "preparing" | "active" | "stopping";
            /**
             * Format: date-time
             * @description When its time is over; null if it has no end, or has not started.
             */
            until: string | null;
        };
        PoolNode: {
            /** @description The machine's name. */
            node: string;
            /**
             * @description As in the list of machines.
             * @enum {string}
             */
            status: "ready" | "not_ready" | "cordoned" | "tainted" | "gone";
            /** @description What the machine reports to be wrong, or that its provider takes it back, so that no job starts there; else null. */
            fault: string | null;
            /** @description Whether an operator drained this machine, its zone or its node group. See the type's `drained` too. */
            drained: boolean;
            /** @description The machine's zone. */
            zone: string;
            /** @description The node group of EKS that created it; null if unknown. */
            node_group: string | null;
            /** @description What it offers: GPUs, vCPUs of a shared machine, 1 for another CPU machine. */
            units: number;
            /** @description Who has capacity there. */
            holders: components["schemas"]["PoolHolder"][];
        };
        PoolPart: {
            /** @description The drained zone; null if it is something else. */
            zone: string | null;
            /** @description The name of the drained node group; null if it is something else. */
            node_group: string | null;
            /** @description The name of the drained machine; null if it is something else. */
            node: string | null;
            /**
             * Format: date-time
             * @description When an operator closed it; null if an older version noted no time.
             */
            since: string | null;
            /** @description The operator who did; null if an older version noted no name. */
            by: string | null;
            /** @description Why, in the operator's words; null if none were given. */
            reason: string | null;
        };
        PoolWaiting: {
            /** @description Its place in the planner's order; null if the plan does not reach it. */
            position: number | null;
            /** @description The user name of the owner. */
            user_id: string;
            /** @description The environment's id in its API. */
            environment_id: string;
            /** @description The environment's name, for people. */
            name: string;
            /** @description The API through which the environment was created. */
            api: string;
            /** @description Number of machines that it needs at once. */
            machines: number;
            /** @description What it needs of each. */
            units: number;
            /** @description The part of this type that its owner has now, 0 to 1. The planner prefers smaller ones. */
            share: number;
            /**
             * Format: date-time
             * @description Since when it waits.
             */
            queued_at: string;
            /**
             * Format: date-time
             * @description When it should start; null if unknown.
             */
            estimated_start_time: string | null;
            /** @description Why it waits, as its owner reads it. */
            reason: string | null;
        };
        Readiness: {
            /**
             * @description The state in one word.
             * @enum {string}
             */
            status: "ready" | "not ready";
        };
        RegistryAuth: {
            /** @description The user of the registry. */
            username: string;
            /** @description The password or token. */
            password: string;
        };
        RemovedOrphan: {
            /** @description The record's key. */
            record: string;
            /** @description The id that the environment keeps for its whole life. */
            uid: string;
            /** @description Number of the environment's start, counted from 1. */
            run: number;
            /** @description The reason as text. */
            why: string;
            /**
             * Format: date-time
             * @description When the run was removed.
             */
            removed_at: string;
        };
        RenameDisk: {
            /** @description The disk's new name. */
            new_name: string;
        };
        RestoreDisk: {
            /** @description The snapshot. */
            snapshot_id: string;
            /** @description The disk's new name. */
            new_name: string;
        };
        RevokedKey: {
            /** @description The first 8 characters of the API key, which name it in lists and logs. */
            key_prefix: string;
            /**
             * @description The API key is revoked, everywhere after some seconds.
             * @constant
             */
            status: "revoked";
        };
        RotatedKey: {
            /** @description The new API key. It is shown only in this answer. */
            api_key: string;
            /** @description The first 8 characters of the API key, which name it in lists and logs. */
            key_prefix: string;
            /** @description Your user number. */
            user_id: number;
            /** @description Your user name. */
            username: string;
            /**
             * Format: date-time
             * @description When the API key expires.
             */
            expires_at: string;
        };
        ServiceEndpoints: {
            /** @description The path of jobs. */
            jobs: string;
            /** @description The path of disks. */
            disks: string;
            /** @description The path of the GPU availability. */
            gpu_availability: string;
            /** @description The path of the cluster status. */
            cluster_status: string;
        };
        ServiceInfo: {
            /** @description The name of the API. */
            service: string;
            /** @description The version of the published API. */
            version: string;
            /** @description The path of the interactive documentation. */
            docs: string;
            /** @description The path of the health check. */
            health: string;
            /** @description How to log in. */
            auth: {
                /** @description The path of the login. */
                aws_login: string;
                /** @description What the login does. */
                description: string;
            };
            /** @description Paths to go on with. */
            endpoints: components["schemas"]["ServiceEndpoints"];
        };
        Snapshot: {
            /** @description The snapshot. */
            snapshot_id: string;
            /**
             * @description `completed` snapshots can be restored; a `missing` one was complete and is not visible now.
             * @enum {string}
             */
            status: "pending" | "completed" | "failed" | "missing";
            /**
             * Format: date-time
             * @description The point in time that the snapshot holds.
             */
            snapshot_date: string;
            /**
             * @description Whether the snapshot is the backup of a job's end or was made on demand. Each kind is kept apart.
             * @enum {string}
             */
            kind: "backup" | "on_demand";
        };
        SubmitJob: {
            /** @description The container image. The local stack records it and runs commands with the machine's own tools. */
            image: string;
            /**
             * @description The machine, by its AWS name. A deployment may have more.
             * @enum {string}
             */
            instance_type: "g4dn.12xlarge" | "g4dn.2xlarge" | "g6.12xlarge" | "g5.12xlarge" | "p4d.24xlarge" | "p5.48xlarge" | "p5e.48xlarge" | "p6-b200.48xlarge" | "c7i.8xlarge" | "c7g.8xlarge";
            /**
             * @description Duration in hours. A shown job's duration includes its extensions.
             * @default 1
             */
            duration_hours?: number | null;
            /** @description The least hours that the job accepts, to start on machines that close before `duration_hours` are over, as at the end of a Capacity Block. It then ends before they close. By default it waits for other machines. */
            min_duration_hours?: number | null;
            /** @description The named disk, mounted at `$WORKSPACE`. A submit creates the disk if there is none of this name. */
            disk_name?: string | null;
            /** @description Size in GB of a disk that this submit creates; ignored for an existing disk. */
            disk_size_gb?: number | null;
            /** @description Variables of the job's processes: at most 100, 32 KiB in all. Numbers and booleans become texts. `PATH`, `LD_*`, `KUBERNETES_*`, `AWS_*` and `__proto__` are refused. */
            env_vars?: {
                [key: string]: string | number | boolean;
            } | null;
            /** @description Run by a shell inside the job, at most 16 KiB. When it ends the job ends; without one it lives until its time is over. */
            command?: string | null;
            /** @description The type of GPU, for example `h100`. A submit may leave it out; it must match the instance type. */
            gpu_type?: string | null;
            /** @description Number of GPUs: part of a machine, or all GPUs of 1 to 8 machines. Without it, a submit asks for one machine. */
            gpu_count?: number | null;
            /** @description The job's name, for people: 1 to 128 printable characters. Defaults to the pod's name. */
            name?: string | null;
            /** @description The GitHub user whose SSH keys open the job once it is active. */
            github_user?: string | null;
            /** @description At most 10 public SSH keys that open the job once it is active, each in one line of at most 4,096 characters, without options. */
            ssh_public_keys?: string[] | null;
            /** @description The URL that receives each change of the job's phase, in the order of `sequence`. No answer ever shows it. */
            webhook_url?: string | null;
            /** @description Whether Jupyter answers; in a submit, whether to start it. `actions` shows later requests. */
            jupyter_enabled?: boolean | null;
            /** @description The login with which the job's machines pull the image, for a private registry. No answer ever shows it. The local stack pulls no image. */
            registry_auth?: components["schemas"]["RegistryAuth"] | null;
            /** @description Seconds from SIGTERM to SIGKILL when the job's command is ended, for example to write a checkpoint. By default those of the deployment. */
            grace_seconds?: number | null;
            /** @description What happens when the job's machine is taken back, drained or lost. `fail` (default): the job fails. `requeue`: it returns to the queue with its disk and its remaining time. */
            on_interruption?: ("fail" | "requeue") | null;
        };
        SubmittedJob: {
            /** @description The job's id. In a path its first 4 or more characters are enough, while only one of your jobs begins with them. */
            job_id: string;
            /**
             * @description The job is in the queue.
             * @constant
             */
            status: "queued";
            /** @description A confirmation with the number of the request. */
            message: string;
            /**
             * Format: date-time
             * @description Estimated start: half of such jobs start no later. Null if there is no estimate.
             */
            estimated_start_time: string | null;
            /** @description GPUs times the hours that the job asks for: what it uses if it runs to its end. */
            gpu_hours: number;
            /** @description What becomes of files, for a job without a disk; left out for a job with one. */
            warning?: string;
        };
        UndrainRequest: {
            /** @description Only the machines in this zone; null for the whole type. */
            zone?: string | null;
            /** @description Only the machines of this node group of EKS; null for the whole type. */
            node_group?: string | null;
            /** @description Only the machine of this name; null for the whole type. */
            node?: string | null;
        };
        UserState: {
            /** @description The user's name. */
            username: string;
            /** @description Whether the user is disabled. */
            disabled: boolean;
        };
        WebCode: {
            /** @description Logs one browser in as you, once. Put it into the fragment of the console's address. */
            code: string;
            /**
             * Format: date-time
             * @description When the code expires, 60 s after the answer.
             */
            expires_at: string;
        };
        WebCodeBody: {
            /** @description The code from the fragment of the link that `berth web` opened. */
            code: string;
        };
        WebSession: {
            /** @description Your user name. */
            username: string;
            /** @description Your user number. */
            user_id: number;
            /** @description The first 8 characters of the session's key, which name it in lists and logs. */
            key_prefix: string;
            /**
             * Format: date-time
             * @description When the session expires: with the chain of the login that it comes from.
             */
            expires_at: string;
        };
        WebhookAttempt: {
            /** @description The attempt's number, counted from 1. */
            number: number;
            /**
             * Format: date-time
             * @description When the attempt was made.
             */
            at: string;
            /** @description The HTTP status that the receiver answered; null without an answer. */
            status: number | null;
            /** @description What went wrong, in words. */
            error: string | null;
        };
        WebhookDelivery: {
            /** @description The id of the delivery: one event to one receiver. */
            delivery_id: string;
            /** @description The id of the job, instance or other environment that the event is about. */
            environment_id: string;
            /** @description The environment's name, for people. */
            environment_name: string;
            /** @description The API through which the environment was created. */
            api: string;
            /** @description Number of the environment's start, counted from 1. */
            run: number;
            /** @description The phase that the environment entered. */
            phase: string;
            /** @description The step of its preparation; null in other phases. */
            step: string | null;
            /**
             * @description `waiting` for its next attempt, `delivered`, or `given_up`.
             * @enum {string}
             */
            state: "waiting" | "delivered" | "given_up";
            /** @description Number of attempts so far. */
            attempt_count: number;
            /** @description The latest attempts, oldest first. */
            attempts: components["schemas"]["WebhookAttempt"][];
            /**
             * Format: date-time
             * @description When it was created.
             */
            created_at: string;
            /**
             * Format: date-time
             * @description When the next attempt is due; null unless the delivery waits.
             */
            next_attempt_at: string | null;
            /**
             * Format: date-time
             * @description When the delivery succeeded or was given up; null until then.
             */
            ended_at: string | null;
        };
        WebhookDeliveryList: {
            /** @description The deliveries, newest first. */
            deliveries: components["schemas"]["WebhookDelivery"][];
            /** @description The value of `after` for the next page; null on the last one. */
            next: string | null;
        };
        GpuDevProblem: {
            /** @description The reason as text, or a list of all bad fields. */
            detail: string | components["schemas"]["GpuDevProblemField"][];
        };
        GpuDevProblemField: {
            /** @description The kind of mistake, for programs. */
            type: string;
            /** @description The place: `body` or `query`, then the path to the field. */
            loc: (string | number)[];
            /** @description The problem of the field as text. */
            msg: string;
            /** @description The sent value; secrets are `***`. */
            input: unknown;
        };
    };
    responses: never;
    parameters: never;
    requestBodies: never;
    headers: {
        /** @description What kind of problem it is: one word, the same in every API. New words may come. */
        "Berth-Error": string;
    };
    pathItems: never;
}
export type $defs = Record<string, never>;
export type operations = Record<string, never>;
