import { useState } from 'react';
import type { SyncRecord, SyncStatus } from '../client/index.js';
import { SyncProvider, useSyncedData, useSyncStatus } from '../client/react/index.js';
import { Icon } from '../web/icons.js';
import { useSetting } from '../web/settings.js';
import { AddForm } from './add-form.js';
import { AppointmentCard } from './appointment-card.js';
import { byTime, COLLECTION, titleOf } from './appointments.js';
import { ConnectionBadge, PendingBadge } from './badges.js';
import { Chart } from './chart.js';
import { type Device, networkSetting, setNetwork } from './device.js';
import { Notice } from './notice.js';
import { Pane } from './pane.js';

interface DevicePaneProps {
  readonly device: Device;
  readonly selected: string | null;
  /** Null opens the history of all records. */
  readonly onHistory: (id: string | null) => void;
  readonly onSample: () => void;
}

export function DevicePane(props: DevicePaneProps) {
  return (
    <SyncProvider client={props.device.client}>
      <DeviceContent {...props} />
    </SyncProvider>
  );
}

function DeviceContent(props: DevicePaneProps) {
  const { name, title, client } = props.device;
  const status = useSyncStatus();
  const online = useSetting(networkSetting(name)) !== 'off';
  return (
    <Pane
      name={name}
      title={title}
      subtitle="Our client, its own database"
      icon={name}
      online={online}
      onNetwork={(on) => setNetwork(name, on)}
      badges={
        <>
          <ConnectionBadge state={status.connection} testId={`${name}-connection`} />
          <PendingBadge count={status.pendingChanges} testId={`${name}-pending`} />
        </>
      }
    >
      {client.isReady() && <StatusNotices status={status} name={name} online={online} />}
      <Appointments {...props} />
    </Pane>
  );
}

interface StatusNoticesProps {
  readonly status: SyncStatus;
  readonly name: string;
  readonly online: boolean;
}

function StatusNotices({ status, name, online }: StatusNoticesProps) {
  const { durable, error, connection, reason } = status;
  return (
    <>
      {!durable && error !== null && (
        <Notice kind="error" testId={`${name}-storage-error`}>
          <strong>This device can’t store its data.</strong> {error.message} It goes on in memory: nothing is
          lost while this page stays open.
        </Notice>
      )}
      {online && connection !== 'online' && reason !== null && (
        <Notice kind="info" testId={`${name}-reason`}>
          {reason}
        </Notice>
      )}
    </>
  );
}

function Appointments({ device, selected, onHistory, onSample }: DevicePaneProps) {
  const { data, isLoading, error, addData, updateData, deleteData } = useSyncedData(COLLECTION);
  const [failure, setFailure] = useState<string | null>(null);
  const [deleted, setDeleted] = useState<SyncRecord | null>(null);
  const attempt = (change: Promise<unknown>) => {
    setFailure(null);
    change.catch((reason: unknown) => setFailure(reason instanceof Error ? reason.message : String(reason)));
  };
  const remove = (record: SyncRecord) => {
    attempt(deleteData(record.id));
    setDeleted(record);
  };
  const isDurable = useSyncStatus(({ durable }) => durable);
  const problem = failure ?? (isDurable ? error?.message : undefined); // what storage says is told above
  if (isLoading) return <Loading name={device.name} />;
  return (
    <>
      {problem !== undefined && (
        <Notice kind="error" testId={`${device.name}-failure`}>
          {problem}
        </Notice>
      )}
      {deleted !== null && (
        <DeletedNotice
          record={deleted}
          name={device.name}
          {...{ onHistory }}
          onClose={() => setDeleted(null)}
        />
      )}
      <AddForm device={device.title} testId={device.name} onAdd={(record) => attempt(addData(record))} />
      {data.length === 0 && <Empty name={device.name} onSample={onSample} />}
      <ul className="cards" aria-label={`Appointments on the ${device.title.toLowerCase()}`}>
        {[...data].sort(byTime).map((record) => (
          <AppointmentCard
            key={record.id}
            record={record}
            isSelected={selected === String(record.id)}
            onChange={(changes) => attempt(updateData(record.id, changes))}
            onDelete={() => remove(record)}
            onHistory={() => onHistory(String(record.id))}
          />
        ))}
      </ul>
      <Chart name={device.title.toLowerCase()} onWrite={attempt} />
    </>
  );
}

function Loading({ name }: { readonly name: string }) {
  return (
    <div className="loading" role="status" data-testid={`${name}-loading`}>
      <span className="hidden">Reading what this device has stored</span>
      <div className="skeleton" />
      <div className="skeleton" />
      <div className="skeleton" />
    </div>
  );
}

function Empty({ name, onSample }: { readonly name: string; readonly onSample: () => void }) {
  return (
    <div className="empty" data-testid={`${name}-empty`}>
      <Icon name="calendar" size={32} />
      <p>
        <strong>No appointments yet</strong>
      </p>
      <p>Add one here, or start with a day that is made up.</p>
      <button type="button" className="button" onClick={onSample}>
        Load sample data
      </button>
    </div>
  );
}

interface DeletedNoticeProps {
  readonly record: SyncRecord;
  readonly name: string;
  readonly onHistory: (id: string) => void;
  readonly onClose: () => void;
}

function DeletedNotice({ record, name, onHistory, onClose }: DeletedNoticeProps) {
  return (
    <Notice kind="info" testId={`${name}-deleted`} onClose={onClose}>
      Deleted <strong>{titleOf(record)}</strong>. Its history can{' '}
      <button type="button" className="link" onClick={() => onHistory(String(record.id))}>
        bring it back
      </button>
      .
    </Notice>
  );
}
