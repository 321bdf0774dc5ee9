/**
 * The types of an app's collections. An app declares its own once:
 *
 * @example
 * declare module 'telemed-sync' {
 *   interface SyncedCollections { appointments: Appointment }
 * }
 */
// biome-ignore lint/suspicious/noEmptyInterface: apps add to it
export interface SyncedCollections {}
