/**
 * The tag of a managed node group whose autoscaler knows the group's label before it has machines. Its value is `true`
 * (docs/architecture/capacity.md#selectable-node-groups).
 */
export const SELECTABLE_TAG = "berth:selectable";
