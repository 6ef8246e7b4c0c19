/** The protocols that a NetworkPolicyPort can name (networking.k8s.io/v1, `protocol`). */
export type Protocol = 'TCP' | 'UDP' | 'SCTP';

export const PROTOCOLS: readonly Protocol[] = ['TCP', 'UDP', 'SCTP'];
