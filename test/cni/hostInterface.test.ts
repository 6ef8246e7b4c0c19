import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { bridgeFilterProblem } from '../../src/dataplane/bridgeFilter.ts';
import { findHostInterface } from '../../src/cni/hostInterface.ts';
import { NodeLinks } from '../../src/dataplane/nodeLinks.ts';

let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'links-'));
});

afterEach(() => rmSync(root, { recursive: true }));

type Kind = 'bridge' | 'port' | 'plain';

/** Writes what the kernel shows of these interfaces; `sys` is what another namespace's `/sys` shows. */
function node(links: Readonly<Record<string, Kind>>, { sys = links, routes = {} }: NodeOptions = {}): NodeLinks {
  const heading = 'Inter-|   Receive  |  Transmit\n face |bytes    packets|bytes    packets\n';
  const dev = Object.keys(links).map((name) => `${name.padStart(6)}: 0 0 0 0\n`);
  write('proc/net/dev', heading + dev.join(''));
  write('proc/net/route', ['Iface\tDestination\tGateway ...', ...(routes.ipv4 ?? [])].join('\n'));
  write('proc/net/ipv6_route', (routes.ipv6 ?? []).join('\n'));
  write('sys/class/net/bonding_masters', '');
  for (const [name, kind] of Object.entries(sys)) {
    mkdirSync(join(root, 'devices', name), { recursive: true });
    symlinkSync(join(root, 'devices', name), join(root, 'sys/class/net', name));
    if (kind === 'bridge') write(`devices/${name}/bridge/stp_state`, '0\n');
    if (kind === 'port') write(`devices/${name}/brport/state`, '3\n');
    write(`devices/${name}/flags`, '0x1003\n');
  }
  return new NodeLinks(root);
}

interface NodeOptions {
  readonly sys?: Readonly<Record<string, Kind>>;
  readonly routes?: { readonly ipv4?: readonly string[]; readonly ipv6?: readonly string[] };
}

function write(path: string, text: string): void {
  mkdirSync(join(root, path, '..'), { recursive: true });
  writeFileSync(join(root, path), text);
}

const BRIDGED = { addresses: ['10.5.0.2'], hostInterfaces: ['cni0', 'veth1'] };
const ROUTED = { addresses: ['10.5.0.2'], hostInterfaces: ['veth1'] };
const UNTOLD = { addresses: ['10.5.0.2', 'fd00::2'], hostInterfaces: [] };

const TO_POD = 'veth1\t0200050A\t00000000\t0005\t0\t0\t0\tFFFFFFFF\t0\t0\t0';
const TO_SUBNET = 'cni0\t0000050A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0';

function ipv6Route(destination: string, { flags, name }: { readonly flags: string; readonly name: string }): string {
  const zero = '0'.repeat(32);
  return `${destination} 80 ${zero} 00 ${zero} 00000400 00000001 00000000 ${flags}    ${name}`;
}

describe('where /sys shows the namespace', () => {
  test("a port of a bridge is bridged, and the bridge itself is no pod's interface", () => {
    const links = node({ lo: 'plain', cni0: 'bridge', veth1: 'port' });
    expect(findHostInterface(BRIDGED, links)).toEqual({ hostInterface: 'veth1', bridged: true });
  });

  test('an interface that is no port is routed', () => {
    expect(findHostInterface(ROUTED, node({ lo: 'plain', veth1: 'plain' }))).toEqual({
      hostInterface: 'veth1',
      bridged: false,
    });
  });

  test('one that a result names and the kernel does not have is none', () => {
    const result = { addresses: ['10.5.0.2'], hostInterfaces: ['dummy12', 'veth1'] };
    expect(findHostInterface(result, node({ lo: 'plain', veth1: 'plain' })).hostInterface).toBe('veth1');
  });

  test("a bridge alone is no pod's interface", () => {
    const links = node({ lo: 'plain', cni0: 'bridge' });
    expect(findHostInterface(BRIDGED, links)).toEqual({ hostInterface: undefined, bridged: false });
  });
});

describe('where /sys shows another namespace', () => {
  const sys = { lo: 'plain', eth0: 'plain', veth1: 'plain' } as const;

  test('two interfaces on the node are a bridge and its port', () => {
    const links = node({ lo: 'plain', cni0: 'bridge', veth1: 'port' }, { sys });
    expect(findHostInterface(BRIDGED, links)).toEqual({ hostInterface: 'veth1', bridged: true });
  });

  test('a single one is believed only where a host route leads there', () => {
    const kernel = { lo: 'plain', veth1: 'plain' } as const;
    expect(findHostInterface(ROUTED, node(kernel, { sys, routes: { ipv4: [TO_POD] } }))).toEqual({
      hostInterface: 'veth1',
      bridged: false,
    });
    rmSync(root, { recursive: true });
    expect(findHostInterface(ROUTED, node(kernel, { sys })).hostInterface).toBeUndefined();
  });
});

describe('where the result names no interface on the node', () => {
  const kernel = { lo: 'plain', cni0: 'bridge', veth1: 'plain' } as const;

  test('a host route over IPv4 leads to it', () => {
    const links = node(kernel, { routes: { ipv4: [TO_SUBNET, TO_POD] } });
    expect(findHostInterface(UNTOLD, links)).toEqual({ hostInterface: 'veth1', bridged: false });
  });

  test('a host route over IPv6 leads to it', () => {
    const routes = {
      ipv6: [
        ipv6Route('fe800000000000000000000000000000', { flags: '00000001', name: 'veth1' }),
        ipv6Route('fd000000000000000000000000000001', { flags: '80200001', name: 'veth1' }),
        ipv6Route('fd000000000000000000000000000002', { flags: '00000001', name: 'veth1' }),
      ],
    };
    expect(findHostInterface(UNTOLD, node(kernel, { routes })).hostInterface).toBe('veth1');
  });

  test('a route to the whole subnet does not', () => {
    const links = node(kernel, { routes: { ipv4: [TO_SUBNET] } });
    expect(findHostInterface(UNTOLD, links).hostInterface).toBeUndefined();
  });

  test("an interface that leads to others too is no pod's own", () => {
    const toOther = TO_POD.replace('0200050A', '0300050A');
    const links = node(kernel, { routes: { ipv4: [TO_POD, toOther] } });
    expect(findHostInterface(UNTOLD, links).hostInterface).toBeUndefined();
  });
});

test('taking an interface down clears that one flag, and only where /sys shows the namespace', () => {
  const links = node({ lo: 'plain', veth1: 'plain' });
  expect(links.setDown('veth1')).toBe(true);
  expect(readFileSync(join(root, 'devices/veth1/flags'), 'utf8')).toBe('0x1002');
  expect(links.setDown('veth2')).toBe(false);
  rmSync(root, { recursive: true });
  expect(node({ lo: 'plain', veth1: 'plain' }, { sys: { veth1: 'plain' } }).setDown('veth1')).toBe(false);
});

describe('packets between ports of a bridge', () => {
  function sysctls(values: Readonly<Record<string, string>>): string {
    for (const [name, value] of Object.entries(values)) write(`proc/sys/net/bridge/${name}`, `${value}\n`);
    return root;
  }

  test("pass FORWARD where the sysctl of each of the pod's families is 1", () => {
    const proc = sysctls({ 'bridge-nf-call-iptables': '1', 'bridge-nf-call-ip6tables': '0' });
    expect(bridgeFilterProblem(['10.5.0.2'], proc)).toBeUndefined();
    expect(bridgeFilterProblem(['10.5.0.2', 'fd00::2'], proc)).toBe('set net.bridge.bridge-nf-call-ip6tables=1');
  });

  test('do not where the module is missing', () => {
    expect(bridgeFilterProblem(['10.5.0.2', 'fd00::2'], root)).toBe(
      'load the kernel module br_netfilter, then set net.bridge.bridge-nf-call-iptables=1 and net.bridge.bridge-nf-call-ip6tables=1',
    );
  });
});
