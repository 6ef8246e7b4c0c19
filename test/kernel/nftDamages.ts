import type { Damage, Scene } from './damage.ts';

const INET = 'inet kube-nwplcy';
const BRIDGE = 'bridge kube-nwplcy';

/** What others do to our tables by nft. What they do to each rule and element, one by one, is in nftDrift.test.ts. */
export const NFT_DAMAGES: readonly Damage[] = [
  ...[
    { name: 'the whole ruleset is flushed', commands: ['flush ruleset'], opens: true },
    { name: 'our table is deleted', commands: [`delete table ${INET}`], opens: true },
    { name: 'our table of the bridge is deleted', commands: [`delete table ${BRIDGE}`], opens: false },
    {
      name: 'both of our tables are deleted',
      commands: [INET, BRIDGE].map((table) => `delete table ${table}`),
      opens: true,
    },
    { name: 'our table is emptied, and what it held stays', commands: [`flush table ${INET}`], opens: true },
    { name: 'our table is put to sleep', commands: [`add table ${INET} { flags dormant; }`], opens: true },
    {
      name: 'our table of the bridge is put to sleep',
      commands: [`add table ${BRIDGE} { flags dormant; }`],
      opens: false,
    },
    {
      name: 'a chain of a hook is made to drop',
      commands: [`add chain ${INET} forward { policy drop; }`],
      opens: false,
    },
    {
      name: 'a chain of a hook is made anew at another priority',
      commands: [
        `delete chain ${INET} forward`,
        `add chain ${INET} forward { type filter hook forward priority 100; }`,
        `add rule ${INET} forward jump policies`,
      ],
      opens: false,
    },
    {
      name: 'a chain of a hook becomes one without',
      commands: [`delete chain ${INET} forward`, `add chain ${INET} forward`, `add rule ${INET} forward jump policies`],
      opens: true,
    },
    {
      name: 'the rules of a chain change places',
      commands: [`flush chain ${INET} policies`, ...['settle', 'judged', 'from-pods', 'to-pods'].map(jumpTo)],
      opens: true,
    },
    { name: 'a rule is there twice', commands: [jumpTo('to-pods')], opens: false },
    {
      name: 'a chain of somebody else is in our table, and ours lead there',
      commands: [
        `add chain ${INET} stranger`,
        `add rule ${INET} stranger accept`,
        `insert rule ${INET} policies jump stranger`,
        `add chain ${BRIDGE} stranger { type filter hook forward priority 0; policy accept; }`,
      ],
      opens: true,
    },
    {
      name: 'a chain of somebody else is in our table, at a hook',
      commands: [
        `add chain ${INET} stranger { type filter hook forward priority -20; policy drop; }`,
        `add rule ${INET} stranger tcp dport != 443 accept`,
      ],
      opens: false,
    },
    {
      name: 'a set of somebody else is in our table, and ours look there',
      commands: [
        `add set ${INET} strangers { type inet_service; elements = { 81, 82 }; }`,
        `insert rule ${INET} refuse tcp dport @strangers accept`,
        `add map ${INET} friends { type ipv4_addr : verdict; elements = { 192.0.2.1 : accept }; }`,
        `insert rule ${INET} to-pods ip daddr vmap @friends`,
      ],
      opens: true,
    },
    {
      name: 'objects of somebody else are in our tables, and ours name one',
      commands: [
        `add counter ${INET} refused`,
        `insert rule ${INET} refuse counter name "refused" accept`,
        `add quota ${INET} much { over 25 mbytes; }`,
        `add limit ${BRIDGE} few { rate 10/second; }`,
        `add ct helper ${INET} ftp { type "ftp" protocol tcp; }`,
      ],
      opens: true,
    },
  ].map(({ commands, ...damage }) => ({ ...damage, script: () => nft(commands) })),
  {
    name: 'a pod is led to accept',
    script: ({ server: { addresses } }) => nft(verdictsOf(addresses, 'accept')),
    opens: true,
  },
  {
    name: "a pod is led to another pod's chain",
    script: ({ server: { addresses }, own }) =>
      nft(
        verdictsOf(
          addresses,
          `goto ${nameOf(own, /^inet kube-nwplcy chain (to-\S+) \{ comment "to clients\/client"$/)}`,
        ),
      ),
    opens: true,
  },
  {
    name: 'a set loses all of its members',
    script: ({ own }) => nft(ALLOWED.map((member) => `flush set ${INET} ${setWith(own, member)}`)),
    opens: false,
  },
  {
    name: 'a set gains a member',
    script: ({ own }) =>
      nft([
        `add element ${INET} ${setWith(own, '10.0.0.0-')} { 10.244.1.0/24 }`,
        `add element ${INET} ${setWith(own, 'fd00::-')} { fd00:244:0:1::/64 }`,
      ]),
    opens: true,
  },
  {
    name: 'a set becomes one of another type',
    script: ({ own }) => {
      const profile = nameOf(own, /^inet kube-nwplcy chain (profile-\S+) \{$/);
      const set = setWith(own, '10.0.0.0-');
      return nft([
        `flush chain ${INET} ${profile}`,
        `delete set ${INET} ${set}`,
        `add set ${INET} ${set} { type ipv4_addr . inet_service; }`,
      ]);
    },
    opens: true,
  },
];

/** What the sets of what is allowed begin with. */
const ALLOWED = ['10.0.0.0-', 'fd00::-', '10.244.1.'] as const;

function jumpTo(chain: string): string {
  return `add rule ${INET} policies jump ${chain}`;
}

function verdictsOf(addresses: readonly string[], verdict: string): readonly string[] {
  return addresses.flatMap((address) => {
    const map = `${INET} ingress${address.includes(':') ? 6 : 4}`;
    return [`delete element ${map} { ${address} }`, `add element ${map} { ${address} : ${verdict} }`];
  });
}

/** Returns the peers' set that has a member which begins so. */
function setWith(own: Scene['own'], member: string): string {
  const line = own.find(
    (each) => each.startsWith('inet kube-nwplcy set peers') && each.split(' { ')[1]?.startsWith(member),
  );
  return nameOf([line ?? ''], /^inet kube-nwplcy set (\S+)/);
}

function nameOf(own: Scene['own'], form: RegExp): string {
  const name = own.flatMap((line) => form.exec(line)?.[1] ?? [])[0];
  if (name === undefined) throw new Error(`Cannot find a name: no line of ours is like ${form.source}`);
  return name;
}

/** Returns the script of one transaction. */
export function nft(commands: readonly string[]): string {
  return `nft -f - <<'END'\n${commands.join('\n')}\nEND`;
}
