import { expect, test } from 'vitest';
import { policy } from '../kernel/cluster.ts';
import { powerOff } from './reboot.ts';
import { RuntimeNode } from './runtimeNode.ts';
import { connecting, outcomes, tries } from './traffic.ts';

// The source shows the addresses of before a reboot until the kubelet has come far enough to tell the new ones.
test('after a reboot pods are judged by the addresses that they have, not by those that the source still shows', async () => {
  using at = await RuntimeNode.start();
  at.lab.manifests.apply(policy('closed/deny', { podSelector: {}, policyTypes: ['Ingress', 'Egress'] }));
  at.lab.manifests.apply(
    policy('shop/by-label', {
      podSelector: { matchLabels: { role: 'db' } },
      policyTypes: ['Ingress'],
      ingress: [{ from: [{ podSelector: { matchLabels: { role: 'web' } } }] }],
    }),
  );
  const client = await at.lab.node(2).addPod({ namespace: 'clients', name: 'client' });
  const closed = at.sandbox({ namespace: 'closed', name: 'secret' });
  const web = at.sandbox({ namespace: 'shop', name: 'web', labels: { role: 'web' } });
  const db = at.sandbox({ namespace: 'shop', name: 'db', labels: { role: 'db' } });
  const pods = [closed, web, db];
  for (const pod of pods) {
    await pod.run();
    await pod.publish();
  }
  const before = await Promise.all(pods.map(async (pod) => pod.addresses()));
  const stale = pods.map(({ id }) => id);

  await powerOff(at);
  await at.startAgent();
  await at.containerd.start();
  // In another order, so that each pod gets the address of another; and as the kubelet does it: the old sandbox's DEL, then the new one's ADD.
  for (const pod of [web, db, closed]) {
    await pod.stop();
    await pod.run({ announced: true });
  }
  const after = await Promise.all(pods.map(async (pod) => pod.addresses()));
  expect(after).toEqual([before[2], before[0], before[1]]);
  for (const pod of [closed, db]) await pod.startContainer(connecting(client.addresses));
  const [ofClosed = [], , ofDb = []] = after;
  await web.startContainer(connecting([...ofClosed, ...ofDb]));

  expect(await outcomes(client, pods)).toEqual(['refused', 'refused', 'open', 'open', 'refused', 'refused']);
  expect(await tries(web, { since: 0 })).toEqual(
    new Set([...ofClosed.map((address) => `${address} closed`), ...ofDb.map((address) => `${address} open`)]),
  );
  expect(await tries(closed, { since: 0 })).toEqual(new Set(client.addresses.map((address) => `${address} closed`)));
  expect(await tries(db, { since: 0 })).toEqual(new Set(client.addresses.map((address) => `${address} open`)));

  // Later the runtime is asked to forget the old sandboxes: a second DEL, of containers whose addresses others have now.
  for (const podSandboxId of stale) await at.containerd.cri.call('RuntimeService.RemovePodSandbox', { podSandboxId });
  expect(await outcomes(client, pods)).toEqual(['refused', 'refused', 'open', 'open', 'refused', 'refused']);
  for (const pod of pods) await pod.publish();
  await at.node.sync();
  expect(await outcomes(client, pods)).toEqual(['refused', 'refused', 'open', 'open', 'refused', 'refused']);
});
