import { render } from 'preact';
import { DATA_ID } from '../page/pageDocument.ts';
import { snapshotFromJson } from '../page/pageData.ts';
import { LivePage } from './livePage.tsx';
import { Page } from './page.tsx';

const parent = document.querySelector('#page');
const data: unknown = JSON.parse(document.querySelector(`#${DATA_ID}`)?.textContent ?? 'null');
const snapshot = snapshotFromJson(data);
if (parent !== null) {
  parent.replaceChildren();
  render(snapshot === undefined ? <LivePage /> : <Page snapshot={snapshot} />, parent);
}
