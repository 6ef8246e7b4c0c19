import { portText } from '../kube/portText.ts';
import type { Column } from '../page/axes.ts';
import type { Lines } from '../page/gridWindow.ts';
import type { AskedPort } from '../policy/matrix.ts';
import { LABEL_WIDTH } from './gridSizes.ts';

interface ColumnHeadsProps {
  readonly columns: readonly Column[];
  readonly shown: readonly number[];
  readonly lines: Lines;
  readonly pointed: number | undefined;
}

/** The heads of the columns that are in sight: namespace, pods and port; pods of several ports are named at each for screen readers only. */
export function ColumnHeads({ columns, shown, lines, pointed }: ColumnHeadsProps) {
  return (
    <div class="heads" role="row" aria-rowindex={1}>
      <div class="corner" role="columnheader" aria-colindex={1}>
        <span>
          from <b aria-hidden="true">↓</b>
        </span>
        <span>
          to <b aria-hidden="true">→</b>
        </span>
      </div>
      {lines.sections.map(({ name, start, end }) => (
        <div
          key={name}
          class="column-section"
          role="presentation"
          title={name}
          style={{ left: `${LABEL_WIDTH + start}px`, width: `${end - start}px` }}
        >
          <span>{name}</span>
        </div>
      ))}
      {shown.map((index) => {
        const column = columns[index];
        if (column === undefined) return null;
        const { group, port } = column;
        const isFirst = columns[index - 1]?.group !== group || index === shown[0];
        return (
          <div
            key={`${group.pods[0]} ${portText(port)}`}
            class={`column-head ${index === pointed ? 'pointed' : ''}`}
            role="columnheader"
            aria-colindex={index + 2}
            title={`${group.pods.join('\n')}\n${portText(port)}${port.portName === null ? '' : ` (${port.portName})`}`}
            style={{ left: `${LABEL_WIDTH + (lines.starts[index] ?? 0)}px` }}
          >
            <span class={`column-name ${isFirst ? '' : 'again'}`}>
              <span class="unseen">{group.namespace}/</span>
              {group.label}
            </span>
            <span class="column-port">{shortPort(port)}</span>
          </div>
        );
      })}
    </div>
  );
}

function shortPort({ port, protocol }: AskedPort): string {
  return protocol === 'TCP' ? `${port}` : `${port}/${protocol}`;
}
