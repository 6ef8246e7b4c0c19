import { describe, expect, test } from 'vitest';
import { kernelsHolding, settleBackend } from '../../src/cni/backend.ts';
import type { PluginConfig } from '../../src/cni/config.ts';
import type { Context } from '../../src/cni/context.ts';
import { CniError } from '../../src/cni/errors.ts';
import type { Backend } from '../../src/dataplane/backend.ts';
import { IptablesPodKernel } from '../../src/dataplane/iptables/podKernel.ts';
import { NftPodKernel } from '../../src/dataplane/nftables/podKernel.ts';
import { ToolMissingError } from '../../src/dataplane/toolMissing.ts';
import { readBackendChoice, writeBackendChoice } from '../../src/rendezvous/backendChoice.ts';
import { makeRuntimeDir } from '../../src/rendezvous/runtimeDir.ts';
import { DEFAULT_MARK_MASK } from '../../src/rules/mark.ts';
import { FakePrograms, nftScript } from '../helpers/fakePrograms.ts';
import { TemporaryDirectory } from '../helpers/temporaryDirectory.ts';

const IPTABLES = { 'iptables-nft-restore': 'exit 0' };
const NFT = { nft: nftScript() };

interface Facts {
  readonly programs?: Readonly<Record<string, string>>;
  readonly config?: 'auto' | Backend;
  readonly agent?: string;
  readonly chosen?: string;
}

/** Settles the backend on a node where these are the facts; returns the answer or the error, and what is on record then. */
function settle({ agent, ...facts }: Facts) {
  return onNode(facts, (context) => ({
    answer: attempt(() => settleBackend(context, agent === undefined ? undefined : { pid: 1, backend: agent })),
    recorded: readBackendChoice(context.config.runtimeDir),
  }));
}

/** Returns what comes of a question on a node where these are the facts. */
function onNode<T>({ programs = {}, config = 'auto', chosen }: Omit<Facts, 'agent'>, ask: (context: Context) => T): T {
  using directory = new TemporaryDirectory();
  using fake = new FakePrograms(programs);
  const runtimeDir = directory.file('run');
  makeRuntimeDir(runtimeDir);
  if (chosen !== undefined) writeBackendChoice(runtimeDir, chosen);
  const plugin: PluginConfig = {
    name: 'pods',
    runtimeDir,
    backend: config,
    whenAgentDown: 'deny',
    agentTimeoutMs: 1000,
    markMask: DEFAULT_MARK_MASK,
    logLevel: 'info',
    logFile: undefined,
  };
  return ask({ config: plugin, env: fake.env, log: () => undefined });
}

function attempt(ask: () => Backend): unknown {
  try {
    return ask();
  } catch (error) {
    return error;
  }
}

describe('a pod is hooked in by', () => {
  test.for<Facts & { readonly what: string; readonly answer: Backend; readonly recorded: string | undefined }>([
    {
      what: 'what the configuration names, installed or not',
      config: 'nftables',
      answer: 'nftables',
      recorded: undefined,
    },
    {
      what: 'what the agent uses',
      programs: { ...NFT, ...IPTABLES },
      agent: 'nftables',
      answer: 'nftables',
      recorded: undefined,
    },
    {
      what: 'what the agent uses, whatever was chosen before',
      programs: { ...NFT, ...IPTABLES },
      agent: 'iptables-nft',
      chosen: 'nftables',
      answer: 'iptables-nft',
      recorded: 'nftables',
    },
    {
      what: 'what was chosen before',
      programs: { ...NFT, ...IPTABLES },
      chosen: 'nftables',
      answer: 'nftables',
      recorded: 'nftables',
    },
    {
      what: 'what others use, which is then on record',
      programs: { ...NFT, ...IPTABLES },
      answer: 'iptables-nft',
      recorded: 'iptables-nft',
    },
    {
      what: 'another than was chosen before, where that is gone',
      programs: IPTABLES,
      chosen: 'nftables',
      answer: 'iptables-nft',
      recorded: 'iptables-nft',
    },
    {
      what: 'what others use, where a later version’s choice means nothing',
      programs: NFT,
      chosen: 'of the next version',
      answer: 'nftables',
      recorded: 'nftables',
    },
  ])('$what', ({ answer, recorded, ...facts }) => {
    expect(settle(facts)).toEqual({ answer, recorded });
  });
});

describe('no pod is hooked in', () => {
  test('when the live agent writes into another than the configuration names', () => {
    const { answer, recorded } = settle({
      programs: { ...NFT, ...IPTABLES },
      config: 'nftables',
      agent: 'iptables-nft',
    });
    expect([answer, recorded]).toEqual([expect.any(CniError), undefined]);
    expect(String(answer)).toContain('this node\'s agent writes into "iptables-nft"');
  });

  test('when the program of the agent’s choice is missing: the agent is asked to change, by what is on record', () => {
    const { answer, recorded } = settle({ programs: IPTABLES, agent: 'nftables', chosen: 'nftables' });
    expect([answer, recorded]).toEqual([expect.any(CniError), 'iptables-nft']);
    expect(String(answer)).toContain('the agent is asked to change from "nftables" to "iptables-nft"');
  });

  test('when neither can be used; nothing is put on record', () => {
    const { answer, recorded } = settle({});
    expect([answer, recorded]).toEqual([expect.any(ToolMissingError), undefined]);
  });
});

describe('a pod is taken out', () => {
  const kernels = (facts: Omit<Facts, 'agent'>, hookedBy: string | undefined) =>
    onNode(facts, (context) =>
      kernelsHolding(context, { wasHooked: true, hookedBy }).map((kernel) => kernel.constructor),
    );

  test.for<Facts & { readonly what: string; readonly hookedBy: string | undefined; readonly from: readonly unknown[] }>(
    [
      {
        what: 'of the present backend, and of the one that it was hooked in by',
        programs: { ...NFT, ...IPTABLES },
        chosen: 'nftables',
        hookedBy: 'iptables-nft',
        from: [NftPodKernel, IptablesPodKernel],
      },
      {
        what: 'of the present backend alone, where the other’s program is gone',
        programs: NFT,
        chosen: 'nftables',
        hookedBy: 'iptables-nft',
        from: [NftPodKernel],
      },
      {
        // Of a world of iptables that the kernel lacks, every DEL would fail. The agent takes out what is left there.
        what: 'of the present backend alone, where an earlier version did not say which it was',
        programs: { ...NFT, ...IPTABLES, 'iptables-legacy-restore': 'exit 3' },
        chosen: 'nftables',
        hookedBy: undefined,
        from: [NftPodKernel],
      },
    ],
  )('$what', ({ hookedBy, from, ...facts }) => {
    expect(kernels(facts, hookedBy)).toEqual(from);
  });
});
