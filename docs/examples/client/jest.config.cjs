// jest.config.js
module.exports = {
  preset: 'react-native',
  transformIgnorePatterns: [
    'node_modules/(?!((jest-)?react-native|@react-native(-community)?|@react-native-async-storage|telemed-sync|yjs|lib0|y-protocols)/)',
  ],
  moduleNameMapper: {
    '^@react-native-async-storage/async-storage$':
      '@react-native-async-storage/async-storage/jest/async-storage-mock',
    '^isomorphic-webcrypto/src/react-native$':
      '<rootDir>/node_modules/telemed-sync/dist/client/react-native/webcrypto.js',
  },
};
