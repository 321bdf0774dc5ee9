/** What docs/guides/REACT-NATIVE.md uses of the modules of phones, which this repository does not install. */
declare module 'react-native-get-random-values' {}

declare module '@react-native-community/netinfo' {
  const NetInfo: import('../../../client/react-native.js').NetInfoLike;
  export default NetInfo;
}

declare module 'expo-sqlite' {
  type ExpoSqlite = import('../../../client/react-native.js').ExpoSqlite;
  export const openDatabaseAsync: ExpoSqlite['openDatabaseAsync'];
  export const deleteDatabaseAsync: ExpoSqlite['deleteDatabaseAsync'];
}

declare module 'react-native' {
  export const Platform: { readonly OS: 'ios' | 'android' };
}

declare const __DEV__: boolean;
