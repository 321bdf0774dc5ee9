/** The scenes that *Play* runs: what happens, on which device, and the sentence that stands beside it. */
import type { Changes, Place } from '../actors.js';
import type { PaneName } from '../pane.js';
import { CHART, PRESCRIPTION, sampleAppointment } from '../samples.js';

export type Step = { readonly say: string } & (
  | { readonly do: 'off' | 'on'; readonly devices: readonly PaneName[] }
  | { readonly do: 'edit'; readonly device: PaneName; readonly changes: Changes }
  | { readonly do: 'delete'; readonly device: PaneName }
  | { readonly do: 'restore' | 'reload' }
);

export interface Scene {
  readonly id: string;
  readonly title: string;
  readonly text: string;
  /** Stands behind what was merged from whom. */
  readonly moral: string;
  readonly devices: readonly [left: PaneName, right: PaneName];
  readonly place: Place;
  readonly fields: readonly string[];
  readonly steps: readonly Step[];
}

const BOTH = ['phone', 'tablet'] as const;
const ALL = ['phone', 'tablet', 'old-app'] as const;

const off = (say: string, devices: readonly PaneName[]): Step => ({ do: 'off', say, devices });
const on = (say: string, ...devices: readonly PaneName[]): Step => ({ do: 'on', say, devices });
const edit = (say: string, device: PaneName, changes: Changes): Step => ({
  do: 'edit',
  say,
  device,
  changes,
});

const PHONE_BACK = 'The phone is back: what waited on it goes to the server.';
const TABLET_BACK = 'The tablet is back. The server merges, and both get what they lack.';

export const SCENES: readonly Scene[] = [
  {
    id: 'edits',
    title: 'Two edits meet',
    text: 'One appointment, changed on two devices that are offline.',
    moral: 'Neither had the network, neither lost its edit.',
    devices: BOTH,
    place: sampleAppointment(1),
    fields: ['room', 'status'],
    steps: [
      off('Phone and tablet lose the network.', BOTH),
      edit('On the phone, Anna Weber moves to room 7.', 'phone', { room: '7' }),
      edit('On the tablet, she has arrived.', 'tablet', { status: 'arrived' }),
      on(PHONE_BACK, 'phone'),
      on(TABLET_BACK, 'tablet'),
    ],
  },
  {
    id: 'old-record',
    title: 'An old record undoes nothing',
    text: 'An app of yesterday sends its whole record, however old it is.',
    moral: 'The old record still had no note, and took none away.',
    devices: ['phone', 'old-app'],
    place: sampleAppointment(2),
    fields: ['room', 'notes'],
    steps: [
      off('The old app loses the network.', ['old-app']),
      edit('On the phone somebody writes a note; the server has it.', 'phone', { notes: 'Needs a lift' }),
      edit('The old app, which has no note, changes the room.', 'old-app', { room: '9' }),
      on('It is back and sends all it holds: room 9, and no note.', 'old-app'),
    ],
  },
  {
    id: 'lists',
    title: 'A list grows on both sides',
    text: 'Two people add to the allergies of one patient.',
    moral: 'Elements are merged one by one; no list replaces the other.',
    devices: BOTH,
    place: CHART,
    fields: ['allergies'],
    steps: [
      off('Phone and tablet lose the network.', BOTH),
      edit('The phone adds latex.', 'phone', { allergies: ['Penicillin', 'Latex'] }),
      edit('The tablet adds nuts.', 'tablet', { allergies: ['Penicillin', 'Nuts'] }),
      on(PHONE_BACK, 'phone'),
      on(TABLET_BACK, 'tablet'),
    ],
  },
  {
    id: 'text',
    title: 'One text, two pens',
    text: 'Both write in the instructions of a prescription.',
    moral: 'Texts are merged by word.',
    devices: BOTH,
    place: PRESCRIPTION,
    fields: ['instructions'],
    steps: [
      off('Phone and tablet lose the network.', BOTH),
      edit('The phone writes into the sentence.', 'phone', {
        instructions: 'Once a day in the morning, with water.',
      }),
      edit('The tablet writes behind it.', 'tablet', {
        instructions: 'Once a day in the morning. No grapefruit.',
      }),
      on(PHONE_BACK, 'phone'),
      on(TABLET_BACK, 'tablet'),
    ],
  },
  {
    id: 'reload',
    title: 'Offline through a reload',
    text: 'Edits wait on the devices, also while the server is stopped.',
    moral: 'What waited was on the devices’ own disks.',
    devices: BOTH,
    place: PRESCRIPTION,
    fields: ['dose', 'repeats'],
    steps: [
      off('Everything loses the network.', ALL),
      edit('The phone raises the dose.', 'phone', { dose: '10 mg' }),
      edit('The tablet adds two repeats.', 'tablet', { repeats: '3' }),
      { do: 'reload', say: 'Now this page is loaded again, without any network.' },
      on(PHONE_BACK, 'phone'),
      on(TABLET_BACK, 'tablet', 'old-app'),
    ],
  },
  {
    id: 'history',
    title: 'Back from the history',
    text: 'What was deleted by mistake is brought back as it was.',
    moral: 'The history has every version, and who made it.',
    devices: BOTH,
    place: sampleAppointment(3),
    fields: ['reason', 'status'],
    steps: [
      { do: 'delete', device: 'tablet', say: 'On the tablet, the appointment is deleted by mistake.' },
      { do: 'restore', say: 'The history brings it back.' },
    ],
  },
];
