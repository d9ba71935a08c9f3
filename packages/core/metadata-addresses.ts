/**
 * Addresses outside the loopback and 169.254.0.0/16 at which clouds hand out a machine's settings or credentials: Azure's
 * wire server, Alibaba Cloud's metadata service and the former one of Oracle Cloud. Neither a webhook nor an environment
 * with a network of its own reaches them.
 */
export const metadataAddresses: readonly string[] = ["168.63.129.16", "100.100.100.200", "192.0.0.192"];
