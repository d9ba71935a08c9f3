/**
 * Metadata addresses of clouds outside loopback and 169.254.0.0/16: Azure's wire server, Alibaba Cloud, and the former
 * one of Oracle Cloud. Webhooks and environments in a separate network must not reach them.
 */
export const metadataAddresses: readonly string[] = ["168.63.129.16", "100.100.100.200", "192.0.0.192"];
