import { expect, test } from 'vitest';
import { jsonRows, markdown, type Row } from '../../bench/report.ts';

const portmap: Row = { what: 'portmap ADD', case: '0 pods', unit: 'ms', samples: [30, 20, 25] };
const few: Row = { what: 'kube-nwplcy ADD', case: '0 pods', unit: 'ms', samples: [20, 30], against: portmap };
const many: Row = { what: 'kube-nwplcy ADD', case: '250 pods', unit: 'ms', samples: [50.04], against: few };

test('a table has the ratio first, and names the other case where it is another', () => {
  expect(markdown({ rows: [portmap, few, many], notes: ['One.', 'Two.'] })).toBe(`\
| ratio | what | case | median | min – max | runs |
| ---: | --- | --- | ---: | ---: | ---: |
|  | portmap ADD | 0 pods | 25.0 ms | 20.0 – 30.0 | 3 |
| 1.00 × portmap ADD | kube-nwplcy ADD | 0 pods | 25.0 ms | 20.0 – 30.0 | 2 |
| 2.00 × 0 pods | kube-nwplcy ADD | 250 pods | 50.0 ms | 50.0 – 50.0 | 1 |

- One.
- Two.
`);
});

test.for([
  { sample: 0, text: '0' },
  { sample: 0.0123, text: '0.012' },
  { sample: 1.234, text: '1.23' },
  { sample: 12.34, text: '12.3' },
  { sample: 18_412.7, text: '18413' },
])('$sample is written $text', ({ sample, text }) => {
  const table = markdown({ rows: [{ ...portmap, samples: [sample] }], notes: [] });
  expect(table.split('\n')[2]).toBe(`|  | portmap ADD | 0 pods | ${text} ms | ${text} – ${text} | 1 |`);
});

test('what is compared with something else in another case names both', () => {
  const [, , row] = markdown({ rows: [{ ...many, against: portmap }], notes: [] }).split('\n');
  expect(row).toBe('| 2.00 × portmap ADD, 0 pods | kube-nwplcy ADD | 250 pods | 50.0 ms | 50.0 – 50.0 | 1 |');
});

test('nothing is divided by nothing', () => {
  const none: Row = { what: 'writes', case: 'quiet', unit: '/s', samples: [0] };
  const some: Row = { what: 'writes', case: 'churn', unit: '/s', samples: [5], against: none };
  expect(markdown({ rows: [some], notes: [] }).split('\n')[2]).toBe(
    '| no ratio to quiet | writes | churn | 5.00 /s | 5.00 – 5.00 | 1 |',
  );
});

test('the file of results has samples, summary and ratio', () => {
  expect(jsonRows({ rows: [few], notes: [] })).toEqual([
    {
      what: 'kube-nwplcy ADD',
      case: '0 pods',
      unit: 'ms',
      samples: [20, 30],
      median: 25,
      min: 20,
      max: 30,
      runs: 2,
      against: { what: 'portmap ADD', case: '0 pods', ratio: 1 },
    },
  ]);
});
