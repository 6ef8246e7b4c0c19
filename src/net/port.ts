/** Tells whether `port` is a port number, 1 to 65535. */
export function isPortNumber(port: number): boolean {
  return Number.isInteger(port) && port >= 1 && port <= 65535;
}

/** Tells whether `name` is a port name as the API takes it: an IANA service name (RFC 6335, section 5.1) in lower case. */
export function isPortName(name: string): boolean {
  return /^(?=[^a-z]*[a-z])(?!.*--)[a-z0-9](?:[-a-z0-9]{0,13}[a-z0-9])?$/.test(name);
}
